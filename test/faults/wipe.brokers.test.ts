import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isBusError } from '../../src/index.ts'
import type { Server } from '../servers/server.ts'
import { heard, KINDS, open, placeOn } from './support.ts'

const FAST = { attempts: 2, firstDelayMs: 1, jitter: 'none' } as const

describe.each(KINDS)('$name', ({ start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('[CN19] [I1] [I13] a broker that comes back empty: told once as DATA_LOSS, seen in health, a gap in replay, and groups go on', async () => {
    const url = placeOn(server.url)
    const events = heard('one', 'log.disconnected', 'log.reconnected', 'log.lost')
    const bus = await open(url, { name: 'one', defaults: { retry: FAST } })
    const handled: unknown[] = []
    const read: unknown[] = []
    bus.subscribe(
      'work.x',
      ({ data }) => {
        if (data === 'bad') throw new Error('as every time')
        handled.push(data)
      },
      { group: 'g' },
    )
    bus.subscribe('work.x', ({ data }) => void read.push(data), { from: 'first' })
    for (const data of ['a', 'bad', 'b']) await bus.publish('work.x', data, { session: 's' })
    await expect.poll(() => bus.deadLetters.count()).toBe(1)
    await expect.poll(() => handled).toEqual(['a', 'b'])
    await expect.poll(() => read).toEqual(['a', 'bad', 'b'])

    await server.kill()
    await server.start({ wipe: true })
    await expect.poll(() => events.map(({ event }) => event), { timeout: 10_000 }).toContain('log.lost')
    for (const data of ['c', 'd']) await bus.publish('work.x', data, { session: 's' })
    await expect.poll(() => handled, { timeout: 10_000 }).toEqual(['a', 'b', 'c', 'd'])
    await expect.poll(() => read, { timeout: 10_000 }).toEqual(['a', 'bad', 'b', 'c', 'd'])
    // What is dead begins anew, too.
    await bus.publish('work.x', 'bad')
    await expect.poll(() => bus.deadLetters.count(), { timeout: 10_000 }).toBe(1)

    const losses = events.filter(({ event }) => event === 'log.lost')
    expect(losses).toHaveLength(1)
    const error = losses[0]?.fields.error
    expect(isBusError(error, 'DATA_LOSS')).toBe(true)
    expect((error as Error).message).toContain('work')
    const health = bus.health()
    expect(health).toMatchObject({ status: 'unhealthy', backend: { state: 'failing' } })
    expect(health.reasons).toContain((error as Error).message)
    const gaps: string[] = []
    const left: unknown[] = []
    for await (const { data } of bus.replay('work.x', { onGap: ({ reason }) => void gaps.push(reason) }))
      left.push(data)
    expect(left).toEqual(['c', 'd', 'bad'])
    expect(new Set(gaps)).toEqual(new Set(['lost']))
    await expect(Array.fromAsync(bus.replay('work.x'))).rejects.toMatchObject({ code: 'DATA_LOSS' })
    // A bus that is opened now never knew the rest: for it nothing is missing.
    const late = heard('late', 'log.lost')
    const other = await open(url, { name: 'late' })
    await other.publish('work.x', 'e')
    await expect.poll(() => handled, { timeout: 10_000 }).toContain('e')
    expect(late).toEqual([])
    expect(events.filter(({ event }) => event === 'log.lost')).toHaveLength(1)
  }, 40_000)
})
