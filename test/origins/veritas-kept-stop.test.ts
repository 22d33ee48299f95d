import { describe, expect, test } from 'vitest'
import { veritasKeptStopCases } from './cases/veritas-kept-stop.ts'
import { codeOf, follow, gate, numbers } from './support/cortex-veritas.ts'
import { BACKENDS, child, file, keptRig, ledgerOf, until } from './support/kept.ts'

veritasKeptStopCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[V35] [I12] a stop refuses what is new, drains within its limit, leaves the rest in the store and ends open requests', async () => {
    await using store = make()
    const seen: number[] = []
    {
      await using rig = await keptRig(store)
      const { bus } = rig
      const busy = gate()
      bus.register('slow', {
        concurrency: 1,
        handler: ({ data }) => {
          seen.push(data as number)
          return data === 0 ? undefined : busy.closed
        },
      })
      for (const index of numbers(100)) await bus.send('slow', index, { session: 's' })
      bus.subscribe('ask.me', () => busy.closed)
      const asked = follow(bus.request('ask.me', 1, { timeoutMs: 60_000 }))
      await rig.advance(10)
      expect(seen).toEqual([0, 1])
      const stopping = follow(bus.stop({ limitMs: 200 }))
      expect(await codeOf(bus.send('slow', 'late'))).toBe('NOT_RUNNING')
      expect(await codeOf(bus.request('ask.me', 'late'))).toBe('NOT_RUNNING')
      await rig.advance(150)
      expect([stopping.state, asked.state]).toEqual(['pending', 'pending'])
      await rig.advance(100)
      expect(stopping.state).toBe('resolved')
      expect(asked.error).toMatchObject({ code: 'BUS_CLOSED', family: 'bus' })
      expect(await ledgerOf(bus)).toMatchObject({ published: 100, acked: 1, balance: 0 })
      expect(await bus.deadLetters.count()).toBe(0)
    }
    const again = await store.open()
    const rest: number[] = []
    again.register('slow', { handler: ({ data }) => void rest.push(data as number) })
    await until(() => rest.length === 99, 'the rest')
    expect(rest).toEqual(numbers(99).map((index) => index + 1))
    await again.close()
  })

  test('[V35] what is being handled when a stop begins is finished and acknowledged', async () => {
    await using store = make()
    await using rig = await keptRig(store)
    const { bus, env } = rig
    bus.register('a', {
      handler: () => new Promise<void>((resolve) => void env.after(100, resolve)),
    })
    await bus.send('a', 1)
    await rig.advance(10)
    const stopping = follow(bus.stop({ limitMs: 1_000 }))
    await rig.advance(150)
    expect(stopping.value).toMatchObject({ handled: 1, left: 0, abandoned: 0 })
    expect(await ledgerOf(bus)).toMatchObject({ acked: 1, balance: 0 })
  })

  test('[VN12] [I11] 1 000 sent, stopped after 50 ms: nothing vanishes, the next start handles the rest, callers get a typed error', async () => {
    await using store = make()
    const handled: number[] = []
    const errors: unknown[] = []
    {
      await using rig = await keptRig(store)
      const { bus, env } = rig
      bus.register('a', {
        concurrency: 1,
        handler: async ({ data }, { signal }) => {
          await new Promise<void>((resolve) => void env.after(5, resolve))
          if (!signal.aborted) handled.push(data as number)
        },
      })
      const sent = numbers(1_000).map((index) => bus.send('a', index, { session: 's' }))
      await Promise.all(sent)
      const promised = bus.send('a', 1_000, { session: 's', until: 'handled' }).then(
        (ack) => errors.push(ack.deliveries),
        (error: unknown) => errors.push(error),
      )
      await rig.advance(50)
      const stopping = bus.stop({ limitMs: 0 })
      await rig.advance(10)
      await stopping
      const closing = bus.close({ limitMs: 0 })
      await rig.advance(10)
      await closing
      await promised
    }
    expect(handled.length).toBeGreaterThan(2)
    expect(handled.length).toBeLessThan(100)
    expect(errors).toMatchObject([[{ outcome: 'dropped', reason: 'shutdown', error: { code: 'BUS_CLOSED' } }]])
    const bus = await store.open()
    bus.register('a', { handler: ({ data }) => void handled.push(data as number) })
    await until(() => handled.length >= 1_001, 'the rest')
    expect(new Set(handled).size).toBe(1_001)
    expect(handled).toEqual(handled.toSorted((a, b) => a - b))
    await bus.close()
  })
})

test('[V35] [VN12] SIGTERM to a process that closes its bus loses nothing: the next one handles the rest, in order', {
  timeout: 60_000,
}, async () => {
  const path = file()
  const code = `
    for (let n = 0; n < 1000; n++) bus.send('a', n, { session: 's' }).catch(() => undefined)
    await bus.publish('other.x', 1)
    let handled = 0
    bus.register('a', { concurrency: 1, handler: async ({ data }) => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      say('handled ' + data)
      if (++handled === 20) say('enough')
    } })
    process.on('SIGTERM', async () => {
      await bus.close({ limitMs: 50 })
      say('closed')
      process.exit(0)
    })
  `
  const first = child(path, '{}', `bus.declare('a')\n${code}`)
  await first.said('enough')
  first.process.kill('SIGTERM')
  expect(await first.ended).toBe(0)
  const numbersIn = (lines: readonly string[]): number[] =>
    lines.filter((line) => line.startsWith('handled')).map((line) => Number(line.slice(8)))
  const before = numbersIn(first.lines)
  const second = child(
    path,
    '{}',
    `bus.register('a', { handler: ({ data }) => { say('handled ' + data); if (data === 999) say('last') } })`,
  )
  await second.said('last')
  await second.kill()
  const after = numbersIn(second.lines)
  // The one in hand at the end of the time was given up, and may have said so nevertheless.
  expect(before.length + after.length).toBeLessThanOrEqual(1_001)
  expect([...new Set([...before, ...after])]).toEqual(numbers(1_000))
  expect(after).toEqual(after.toSorted((a, b) => a - b))
})
