import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { childOn } from '../kept/children.ts'
import type { Server } from '../servers/server.ts'
import { KINDS, open, placeOn } from './support.ts'

const ATTEMPTS = 3

describe.each(KINDS)('$name', ({ start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('[I17] a message that kills every process which handles it dies within its attempts and one, with leases shorter than a death takes to notice', async () => {
    const url = placeOn(server.url)
    const bus = await open(url)
    const options = `{ defaults: { ackWaitMs: 500, retry: { attempts: ${ATTEMPTS}, firstDelayMs: 1, jitter: 'none' } } }`
    const code = `
    bus.subscribe('work.*', async ({ data }, { attempt }) => {
      say('in ' + data + ' ' + attempt)
      if (data === 13) process.kill(process.pid, 'SIGKILL')
      await sleep(2)
      say('done ' + data)
    }, { group: 'g', concurrency: 4 })`
    await bus.subscribe('work.*', () => undefined, { group: 'g' }).drain()
    for (let data = 0; data < 40; data++) {
      await bus.publish('work.a', data, data % 2 === 0 ? {} : { session: `s${data % 5}` })
    }
    const done = new Set<string>()
    let kills = 0
    while ((await bus.deadLetters.count()) === 0) {
      const one = childOn(url, options, code)
      const ended = one.ended.then(() => true)
      for (;;) {
        if (await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100))])) break
        // In order: a kill would be an attempt of whatever it has in hand, which may be the last one of a neighbour.
        if ((await bus.deadLetters.count()) > 0) one.terminate()
      }
      if (one.lines.some((line) => line.startsWith('in 13'))) kills++
      expect(kills, 'it never ends').toBeLessThanOrEqual(ATTEMPTS + 1)
      for (const data of one.after('done')) done.add(data)
    }
    expect(kills).toBeGreaterThanOrEqual(ATTEMPTS)
    const letters = await bus.deadLetters.list()
    expect(letters.map(({ message, reason }) => [message.data, reason])).toEqual([[13, 'agent-unresponsive']])
    // Nobody else pays for it.
    const rest = childOn(url, options, code)
    const others = Array.from({ length: 40 }, (_, data) => String(data)).filter((data) => data !== '13')
    await expect
      .poll(() => others.filter((data) => !done.has(data) && !rest.after('done').includes(data)), { timeout: 30_000 })
      .toEqual([])
    await rest.kill()
  }, 120_000)
})
