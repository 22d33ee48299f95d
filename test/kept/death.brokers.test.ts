import { describe, expect, test } from 'vitest'
import { BROKERS } from './brokers.ts'
import { childOn } from './children.ts'
import { ledgerOf, until } from './support.ts'

const LIMIT_MS = 60_000
const LEASE_MS = 1_000
const OPTIONS = { defaults: { ackWaitMs: LEASE_MS, retry: { attempts: 3, firstDelayMs: 1, jitter: 'none' } } } as const
const CODE = JSON.stringify(OPTIONS)
const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => from + n)

/** Says when it begins with a message and when it is done with it. */
const WORK = (ms: number, concurrency: number): string => `
  bus.subscribe('work.*', async ({ data }, { attempt }) => {
    say('in ' + data + ' ' + attempt)
    await sleep(${ms})
    say('done ' + data)
  }, { group: 'g', concurrency: ${concurrency} })
  say('ready')
`

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[I1] [I4] [C15] [CN1] of three processes one is killed in its handlers: all 500 are handled, and only what it held begins again, marked as another attempt', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const url = await store.url()
    await using bus = await store.open(OPTIONS)
    const dying = childOn(url, CODE, WORK(60_000, 4))
    await dying.said('ready')
    await Promise.all(numbers(4).map((n) => bus.publish('work.a', n)))
    await dying.said('in', 4)
    const others = numbers(2).map(() => childOn(url, CODE, WORK(2, 4)))
    await Promise.all(others.map((one) => one.said('ready')))
    await Promise.all(numbers(496, 4).map((n) => bus.publish('work.a', n, n % 3 === 0 ? { session: `s${n % 7}` } : {})))
    await dying.kill()
    await until(async () => (await ledgerOf(bus)).acked === 500, 'all 500')
    const said = (): readonly string[] => others.flatMap((one) => one.after('done'))
    // Said before it was settled, and on its way through a pipe.
    await until(() => said().length >= 500, 'what they said')
    const done = said().map(Number)
    expect(new Set(done)).toEqual(new Set(numbers(500)))
    expect(done).toHaveLength(500)
    // What was begun and not finished is marked: it has cost an attempt.
    const again = others.flatMap((one) => one.after('in')).filter((line) => line.endsWith(' 2'))
    expect(again.map((line) => Number(line.split(' ')[0]))).toEqual(expect.arrayContaining(numbers(4)))
    expect(await ledgerOf(bus)).toMatchObject({
      published: 500,
      acked: 500,
      dead: 0,
      pending: 0,
      leased: 0,
      balance: 0,
    })
  })

  test('[C14] [I1] [I2] what a killed publisher was told is kept is there, whoever reads it', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const url = await store.url()
    const publisher = childOn(
      url,
      '{}',
      `let n = 0
       const one = async () => { for (;;) { const mine = n++; await bus.publish('work.a', mine); say('kept ' + mine) } }
       await Promise.all(Array.from({ length: 8 }, one))`,
    )
    await publisher.said('kept', 200)
    await publisher.kill()
    const told = publisher.after('kept').map(Number)
    await using bus = await store.open()
    const got: number[] = []
    bus.subscribe('work.*', ({ data }) => void got.push(data as number), { group: 'g' })
    await until(() => told.every((n) => got.includes(n)), 'what was kept')
    await until(async () => (await ledgerOf(bus)).pending === 0)
    expect(new Set(got).size).toBe(got.length)
    // At most those on their way at the kill were kept without an answer.
    expect(got.length - told.length).toBeLessThanOrEqual(8)
    expect(Math.max(...got)).toBeLessThanOrEqual(Math.max(...told) + 8)
  })

  test('[I12] [W19] [WN7] SIGTERM of one process: it ends with 0, what it had not handled goes on in another at once, and has cost no attempt', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const url = await store.url()
    await using bus = await store.open({})
    const told = childOn(
      url,
      `{ drainMs: 200 }`,
      `${WORK(60_000, 4)}
       process.on('SIGTERM', () => bus.publish('work.a', 1).catch(({ code }) => say('refused ' + code)))`,
    )
    await told.said('ready')
    await Promise.all(numbers(100).map((n) => bus.publish('work.a', n, n % 2 === 0 ? {} : { session: `s${n % 5}` })))
    await told.said('in', 4)
    const handled: [number, number][] = []
    bus.subscribe('work.*', ({ data }, { attempt }) => void handled.push([data as number, attempt]), { group: 'g' })
    const beganMs = performance.now()
    told.terminate()
    expect(await told.ended).toBe(0)
    expect(told.after('refused')).toEqual(['NOT_RUNNING'])
    await until(async () => (await ledgerOf(bus)).acked === 100, 'all 100')
    // Given back, not waited for: the lease is 30 s.
    expect(performance.now() - beganMs).toBeLessThan(15_000)
    expect(told.after('done')).toEqual([])
    expect(handled.toSorted(([a], [b]) => a - b)).toEqual(numbers(100).map((n) => [n, 1]))
    expect(await ledgerOf(bus)).toMatchObject({ published: 100, acked: 100, dead: 0, balance: 0 })
  })
})
