import { describe, expect, test } from 'vitest'
import type { Gap } from '../../src/index.ts'
import { BROKERS } from './brokers.ts'
import { childOn } from './children.ts'
import { ledgerOf, until } from './support.ts'

const LIMIT_MS = 90_000
const AGENTS = 7
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

/** Agents in a process of their own; each handling takes a while. */
const HANDLE = `
  for (let agent = 0; agent < ${AGENTS}; agent++) {
    bus.register('a' + agent, { handler: async ({ data }, { attempt }) => {
      say('in ' + data.n + ' ' + agent + ' ' + attempt)
      await sleep(2)
    } })
  }
  say('ready')`

describe.each(BROKERS)('on $name', ({ name, make, server }) => {
  test('[V61] [V62] [I1] [I6] [W20] 1 000 accepted, the broker killed with -9 after 100 handled and restarted: all handled, in order per agent, only few twice, and those marked', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const broker = await server()
    const url = await store.url()
    const bus = await store.open()
    for (const agent of numbers(AGENTS)) bus.declare(`a${agent}`)
    const acks = await Promise.all(
      numbers(1_000).map((n) => bus.send(`a${n % AGENTS}`, { n }, { session: `of a${n % AGENTS}` })),
    )
    // A restart of the server is what "process" covers, and more.
    for (const { level } of acks) expect(level).toBe(name === 'redis' ? 'disk' : 'process')
    const agents = childOn(url, '{}', HANDLE)
    await agents.said('in', 100)
    await broker.kill()
    const before = agents.after('in').length
    await broker.start()
    const backMs = performance.now()
    await agents.said('in', before + AGENTS + 1)
    // Reading goes on within 5 s of the return; the rest is what a busy machine takes.
    expect(performance.now() - backMs).toBeLessThan(5_000 + 2_000)
    await until(async () => (await ledgerOf(bus).catch(() => ({ acked: 0 }))).acked === 1_000, 'all 1 000')
    const handled = agents.after('in').map((line) => {
      const [n, agent, attempt] = line.split(' ').map(Number) as [number, number, number]
      return { n, agent, attempt }
    })
    expect(new Set(handled.map((one) => one.n)).size).toBe(1_000)
    for (const agent of numbers(AGENTS)) {
      const own = handled.filter((one) => one.agent === agent).map((one) => one.n)
      const first = own.filter((n, at) => own.indexOf(n) === at)
      expect(first).toEqual(numbers(1_000).filter((n) => n % AGENTS === agent))
    }
    // Twice: at most what was handled and whose acknowledgement did not come to the broker.
    const twice = handled.filter(({ n }, at) => handled.findIndex((one) => one.n === n) < at)
    expect(twice.length).toBeLessThanOrEqual(100)
    for (const { attempt } of twice) expect(attempt).toBeGreaterThan(1)
    expect(await ledgerOf(bus)).toMatchObject({
      published: 1_000,
      acked: 1_000,
      dead: 0,
      pending: 0,
      leased: 0,
      balance: 0,
    })
    await agents.kill()
    await bus.close()
  })

  test('[V61] [I1] [I5] publishers that go on through a kill of the broker: each message is kept or refused, and what is published again by its id is stored once', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const broker = await server()
    const [bus, reader] = await Promise.all([store.open({ publishTimeoutMs: 2_000 }), store.open()])
    const got: number[] = []
    reader.subscribe('work.*', ({ data }) => void got.push(data as number), { group: 'g' })
    const ids = numbers(400).map((n) => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`)
    let accepted = 0
    const publishing = Promise.all(
      numbers(4).map(async (lane) => {
        for (let n = lane; n < 400; n += 4) {
          // Again by its id until it is surely kept: no error of a lost broker says more than "perhaps".
          for (;;) {
            try {
              await bus.publish('work.a', n, { id: ids[n] as string, session: `lane ${lane}` })
              break
            } catch (error) {
              expect((error as { code?: string }).code).toMatch(/^(PUBLISH_UNKNOWN|STORE_FAILED|STORE_FULL)$/)
              await new Promise<void>((resolve) => void setTimeout(resolve, 20))
            }
          }
          accepted++
        }
      }),
    )
    await until(() => accepted >= 100, 'the first hundred')
    await broker.kill()
    await broker.start()
    await publishing
    await until(async () => (await ledgerOf(reader).catch(() => ({ acked: 0 }))).acked === 400, 'all of them')
    const kept: number[] = []
    for await (const { data } of reader.replay('work.>')) kept.push(data as number)
    expect(kept.toSorted((a, b) => a - b)).toEqual(numbers(400))
    for (const lane of numbers(4)) {
      expect(kept.filter((n) => n % 4 === lane)).toEqual(numbers(400).filter((n) => n % 4 === lane))
    }
    expect(new Set(got)).toEqual(new Set(numbers(400)))
    await Promise.all([bus.close(), reader.close()])
  })

  test('[I16] [W20] a broker that comes back without what it had acknowledged: said as DATA_LOSS, and the range is a gap, never silence', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const broker = await server()
    const bus = await store.open()
    for (const n of numbers(5)) await bus.publish('work.a', n)
    await broker.kill()
    await broker.start({ wipe: true })
    await until(() => bus.health().reasons.some((one) => /work/.test(one)), 'the report')
    await until(
      () =>
        bus
          .publish('work.a', 5)
          .then(() => true)
          .catch(() => false),
      'a publish',
    )
    await expect(Array.fromAsync(bus.replay('work.>'))).rejects.toMatchObject({ code: 'DATA_LOSS' })
    const gaps: Gap[] = []
    const left: unknown[] = []
    for await (const { data } of bus.replay('work.>', { onGap: (gap) => void gaps.push(gap) })) left.push(data)
    expect(left).toEqual([5])
    expect(gaps).toMatchObject([{ type: 'gap', stream: 'work/normal', reason: 'lost' }])
    await bus.close()
  })
})
