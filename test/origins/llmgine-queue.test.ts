import { expect, test } from 'vitest'
import { type BusError, createBus, type Failure, type QueueOptions } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import {
  announcements,
  faultIn,
  faultOf,
  gate,
  imbalance,
  isSettled,
  type Rig,
  range,
  rig,
} from './support/woodwork.ts'

/** A subscription with room for `limit` messages whose handler lets go of one message a step. */
function narrow(r: Rig, options: QueueOptions) {
  const seen: unknown[] = []
  const gates: (() => void)[] = []
  const subscription = r.bus.subscribe(
    'q',
    ({ data }) => {
      seen.push(data)
      return new Promise<void>((resolve) => gates.push(resolve))
    },
    options,
  )
  const step = async (count = 1): Promise<void> => {
    for (const _ of range(count)) {
      gates.shift()?.()
      await r.env.settle()
    }
  }
  return { subscription, seen, step }
}

test('[L45] a queue holds 10,000, tells the crossing of 80 % once, and is armed again at 50 %', async () => {
  await using r = rig()
  const { subscription, step } = narrow(r, {})
  expect(subscription.stats()).toMatchObject({ limit: 10_000, filled: false, highWaterHits: 0 })
  const fill = async (count: number): Promise<void> => {
    for (const n of range(count)) void r.bus.publish('q', n)
    await r.env.settle()
  }
  const relieved: unknown[] = []
  const filled = await announcements('queue.filled', async () => {
    relieved.push(
      ...(await announcements('queue.relieved', async () => {
        await fill(8_001)
        expect(subscription.stats()).toMatchObject({ waiting: 8_000 })
        const hits = subscription.stats().highWaterHits
        expect(hits).toBe(1)
        await fill(100)
        expect(subscription.stats()).toMatchObject({ filled: true, highWaterHits: 1 })
        await step(3_000)
        expect(subscription.stats()).toMatchObject({ waiting: 5_100, filled: true })
        await step(100)
        expect(subscription.stats()).toMatchObject({ waiting: 5_000, filled: false })
        await fill(3_100)
        expect(subscription.stats()).toMatchObject({ filled: true, highWaterHits: 2 })
      })),
    )
  })
  expect(filled).toMatchObject([{ name: 'q', limit: 10_000 }, { name: 'q' }])
  expect(relieved).toMatchObject([{ name: 'q', size: 5_000 }])
})

test.each([
  { lowWater: 0 },
  { lowWater: 0.8 },
  { lowWater: 0.9 },
  { highWater: 0 },
  { highWater: 1.01 },
  { highWater: 0.5 },
  { highWater: Number.NaN },
  { lowWater: 0.5, highWater: 0.5 },
  { limit: 0 },
])('[L45] water marks and limits outside of 0 < low < high ≤ 1 are refused: %o', (options) => {
  const bus = createBus({ env: fakeEnv() })
  for (const run of [
    () => createBus({ ...options, env: fakeEnv() }),
    () => bus.subscribe('q', () => undefined, options),
    () => bus.inbox('q', options),
    () => bus.register('q', options),
    () => bus.configure(options),
  ]) {
    expect(faultIn(run).code).toBe('INVALID_OPTION')
  }
  expect(bus.stats()).toMatchObject({
    subscriptions: 0,
    agents: 0,
    config: { highWater: 0.8, lowWater: 0.5, limit: 10_000 },
  })
})

test('[L45] a high mark of 1 and a low mark just below it are allowed', async () => {
  await using r = rig({ highWater: 1, lowWater: 0.99 })
  expect(r.bus.stats().config).toMatchObject({ highWater: 1, lowWater: 0.99 })
})

test('[L46] [L51] a queue of 5 with drop-oldest keeps the last 5 of 8: 8 enqueued, 3 dropped', async () => {
  await using r = rig()
  const { bus, env } = r
  const { subscription, seen, step } = narrow(r, { limit: 5, overflow: 'drop-oldest' })
  const acks = range(8).map((n) => bus.publish('q', n))
  for (const ack of await Promise.all(acks)) expect(ack.recipients).toBe(1)
  expect(subscription.stats()).toMatchObject({ enqueued: 8, dropped: 3, rejected: 0 })
  await env.settle()
  await step(5)
  expect(seen).toEqual([3, 4, 5, 6, 7])
  expect(subscription.stats()).toMatchObject({ dequeued: 5, waiting: 0, maxSize: 5 })

  const inbox = bus.inbox('by-hand', { limit: 5, overflow: 'drop-oldest' })
  for (const n of range(8)) await bus.publish('by-hand', n)
  expect(inbox.size).toBe(5)
  const taken = await Promise.all(range(5).map(() => inbox.receive({ timeoutMs: 0 })))
  expect(taken.map(({ data }) => data)).toEqual([3, 4, 5, 6, 7])
  expect(bus.stats().ledger).toMatchObject({ published: 16, handled: 10, dropped: 6, pending: 0 })
})

test('[L47] [LN9] a queue of 5 with refuse keeps the first 5 of 8 and refuses three times', async () => {
  await using r = rig()
  const { bus, env } = r
  const { subscription, seen, step } = narrow(r, { limit: 5, overflow: 'refuse' })
  const results = await Promise.allSettled(range(8).map((n) => bus.publish('q', n)))
  expect(results.map(({ status }) => status)).toEqual([
    ...range(5).map(() => 'fulfilled'),
    ...range(3).map(() => 'rejected'),
  ])
  for (const one of results.slice(5))
    expect((one as PromiseRejectedResult).reason).toMatchObject({ code: 'QUEUE_FULL' })
  expect(subscription.stats()).toMatchObject({ enqueued: 5, rejected: 3, dropped: 0 })
  await env.settle()
  await step(5)
  expect(seen).toEqual([0, 1, 2, 3, 4])
  expect(bus.stats()).toMatchObject({ refused: 3, ledger: { published: 5, dropped: 0, handled: 5 } })
})

test('[L48] adaptive refuses when full and slows producers by 1 ms per refusal, at most 100 ms, 10 ms less at low water', async () => {
  await using r = rig()
  const { bus, env } = r
  const { step } = narrow(r, { limit: 10, overflow: 'adaptive' })
  const refuse = async (count: number): Promise<void> => {
    const faults = range(count).map((n) => faultOf(bus.publish('q', n)))
    await env.advance(100)
    for (const fault of faults) expect((await fault).code).toBe('QUEUE_FULL')
  }
  const slowing = async (): Promise<number> => {
    const startMs = env.monotonicMs()
    const published = bus.publish('q', 'slowed')
    while (!(await isSettled(published, env))) await env.advance(1)
    expect(await published).toMatchObject({ recipients: 1 })
    return env.monotonicMs() - startMs
  }
  await bus.publish('q', 'running')
  await env.settle()
  for (const n of range(10)) expect(await isSettled(bus.publish('q', n), env)).toBe(true)
  expect(env.monotonicMs(), 'nothing is slowed before the first refusal').toBe(0)
  await refuse(3)
  await step()
  expect(await slowing()).toBe(3)
  await refuse(150)
  await step()
  expect(await slowing()).toBe(100)
  // From 10 waiting down to the low mark of 5, once.
  await step(5)
  expect(await slowing()).toBe(90)
})

test('[L49] waiting with a deadline of 1 s is the default: the publisher gets room, or a refusal in time', async () => {
  await using r = rig()
  const { bus, env } = r
  expect(bus.stats().config).toMatchObject({ overflow: 'wait', waitMs: 1_000 })
  const { seen, step } = narrow(r, { limit: 2 })
  await bus.publish('q', 0)
  await env.settle()
  for (const n of [1, 2]) await bus.publish('q', n)
  const waits = bus.publish('q', 3)
  const late = faultOf(bus.publish('q', 4))
  expect(await isSettled(waits, env)).toBe(false)
  await env.advance(500)
  await step()
  expect(await isSettled(waits, env)).toBe(true)
  await env.advance(480)
  expect(await isSettled(late, env)).toBe(false)
  await env.advance(60)
  expect((await late).code).toBe('QUEUE_FULL')
  await step(4)
  expect(seen).toEqual([0, 1, 2, 3])
  expect(bus.stats().ledger).toMatchObject({ published: 4, handled: 4, pending: 0 })
})

test('[L50] [LN9] whoever published a message that was dropped or refused learns of it, whatever the policy', async () => {
  for (const overflow of ['wait', 'refuse', 'drop-oldest', 'drop-newest', 'adaptive'] as const) {
    const told: Failure[] = []
    await using r = rig({ onFailure: (failure) => void told.push(failure) })
    const { bus, env } = r
    narrow(r, { limit: 2, overflow, waitMs: 10 })
    await bus.publish('q', 'running')
    await env.settle()
    const fates = range(6).map((n) =>
      bus.publish('q', n, { until: 'succeeded' }).then(
        () => 'handled',
        (error: BusError) => error.code,
      ),
    )
    await env.advance(50)
    const refuses = ['wait', 'refuse', 'adaptive'].includes(overflow)
    const lost = overflow === 'drop-oldest' ? [0, 1, 2, 3] : [2, 3, 4, 5]
    for (const n of lost) expect(await fates[n], `${overflow} ${n}`).toBe(refuses ? 'QUEUE_FULL' : 'MESSAGE_DROPPED')
    const { refused, ledger, channels } = bus.stats()
    expect([refused, ledger.dropped]).toEqual(refuses ? [4, 0] : [0, 4])
    expect(channels.q).toMatchObject({ refused, ledger: { dropped: ledger.dropped } })
    expect(told.map(({ reason, message }) => [reason, message.data])).toEqual(
      refuses ? [] : lost.map((n) => ['queue-full', n]),
    )
    expect(imbalance(ledger)).toBe(0)
  }
})

test('[L50] the receipts of ranked recipients name the one whose queue was full', async () => {
  await using r = rig()
  const { bus, env } = r
  narrow(r, { limit: 1, overflow: 'refuse' })
  bus.subscribe('q', () => undefined, { rank: 10, name: 'first' })
  for (const n of [0, 1]) {
    await bus.publish('q', n)
    await env.settle()
  }
  const ack = await bus.publish('q', 2, { until: 'handled' })
  expect(ack.deliveries).toMatchObject([
    { name: 'first', outcome: 'handled' },
    { name: 'q', reason: 'queue-full', error: { code: 'QUEUE_FULL' } },
  ])
  expect(bus.stats().refused).toBe(1)
})

test('[L51] every figure of a queue is there and counts', async () => {
  await using r = rig()
  const { bus, env } = r
  const { subscription, step } = narrow(r, { limit: 10, overflow: 'refuse', highWater: 0.8, lowWater: 0.5 })
  await env.advance(7)
  await bus.publish('q', 'running')
  await env.settle()
  const results = await Promise.allSettled(range(12).map((n) => bus.publish('q', n)))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(2)
  const atMs = env.wallMs()
  await env.advance(10)
  await step(4)
  expect(subscription.stats()).toMatchObject({
    enqueued: 11,
    dequeued: 5,
    dropped: 0,
    rejected: 2,
    highWaterHits: 1,
    lastHighWater: atMs,
    waiting: 6,
    maxSize: 10,
    running: 1,
  })
  subscription.unsubscribe()
  expect(subscription.stats()).toMatchObject({ waiting: 0, dropped: 6 })
})

test('[LN9] of a burst of 20,000 to a queue of 10,000 nothing vanishes while its publisher believes in success', async () => {
  for (const overflow of ['wait', 'refuse'] as const) {
    const env = fakeEnv()
    const bus = createBus({ env, overflow })
    let handled = 0
    const wait = gate()
    bus.subscribe('q', async () => {
      await wait.opened
      handled++
    })
    const results = Promise.allSettled(range(20_000).map((n) => bus.publish('q', n)))
    await env.settle()
    wait.open()
    const accepted = (await results).filter(({ status }) => status === 'fulfilled').length
    while (bus.stats().ledger.pending > 0) await env.settle()
    expect(handled).toBe(accepted)
    expect(accepted).toBe(overflow === 'wait' ? 20_000 : 10_000)
    expect(bus.stats()).toMatchObject({
      refused: 20_000 - accepted,
      ledger: { published: accepted, handled: accepted },
    })
    await bus.close()
  }
})
