import { expect, test } from 'vitest'
import { type BusStats, createBus, type DeliveryReport, type Failure } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { countingEnv, follow, gate, numbers, still, type Uses } from './support/cortex-veritas.ts'
import { FIGURE_ROWS, KEPT } from './support/veritas-figures.ts'

const FIELDS = Object.keys(FIGURE_ROWS) as (keyof BusStats)[]

test('[VN17] the table of figures names exactly the fields of bus.stats()', async () => {
  await using bus = createBus()
  expect(Object.keys(bus.stats()).toSorted()).toEqual(FIELDS.toSorted())
})

// What a log counts moves only with one.
test.each(FIELDS.filter((field) => FIGURE_ROWS[field] !== KEPT))(
  '[VN17] [V50] the figure %s moves when what it counts happens',
  async (field) => {
    const { options, move, stands } = FIGURE_ROWS[field]
    const env = fakeEnv()
    await using untouched = still({ env: fakeEnv() })
    const before = untouched.stats()[field]
    if (field === 'startedAt') await env.advance(5_000)
    await using bus = still({ env, ...options })
    await move(bus, env)
    await env.settle()
    const after = bus.stats()[field]
    expect(after).not.toEqual(before)
    if (typeof stands !== 'object' || stands === null) {
      if (stands !== undefined) expect(after).toBe(stands)
      return
    }
    expect(Object.keys(after as object).toSorted()).toEqual(Object.keys(stands).toSorted())
    for (const [part, expected] of Object.entries(stands)) {
      const value = (after as unknown as Record<string, unknown>)[part]
      if (expected === undefined) expect(value, part).not.toEqual((before as unknown as Record<string, unknown>)[part])
      else expect(value, part).toBe(expected)
    }
  },
)

test('[V50] the figures of one working bus, read together: sent, delivered, failed, expired, waiting, open, dead', async () => {
  const env = fakeEnv()
  await using bus = still({ env, limit: 4, preset: 'veritas' })
  const busy = gate()
  bus.register('echo', { handler: (message) => message.data })
  bus.register('bad', { handler: async () => Promise.reject(new Error('broken')) })
  const reader = bus.register('reader')
  bus.register('busy', { handler: () => busy.closed })
  bus.subscribe('news', () => undefined)
  await env.advance(10_000)
  await bus.request('agent.echo', 1)
  await bus.publish('news', 1)
  await bus.send('bad', 1)
  await bus.send('reader', 'old', { ttlMs: 100 })
  follow(bus.request('agent.busy', 1, { timeoutMs: 200 }))
  await env.advance(500)
  await bus.send('reader', 'fresh')
  await reader.receive()
  for (const _ of numbers(3)) await bus.send('reader', 'waits')
  follow(bus.request('agent.busy', 1))
  const stats = bus.stats()
  expect(stats).toMatchObject({
    messages: 10,
    // What the busy agent still handles counts as neither delivered nor lost.
    ledger: { published: 10, handled: 3, failed: 1, expired: 1, dropped: 0, pending: 5 },
    requests: { sent: 3, pending: 1, timeouts: 1 },
    subscriptions: 1,
    agents: 4,
    queued: 4,
    utilization: 0.75,
    failures: 2,
    running: true,
    startedAt: Date.UTC(2026, 0, 1),
    uptimeMs: 10_500,
    concurrency: { active: 1, limit: 1_000 },
    config: { limit: 4, requestTimeoutMs: 30_000 },
  })
  expect(stats.topics).toBeGreaterThan(0)
  expect(bus.agents().map((one) => one.name)).toEqual(['echo', 'bad', 'reader', 'busy'])
  expect(bus.failures().length).toBe(2)
})

/** The shortest of many readings, so that neither a collection nor a neighbour on the machine counts. */
function shortest(read: () => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (const _ of numbers(50)) {
    const startedMs = performance.now()
    read()
    best = Math.min(best, performance.now() - startedMs)
  }
  return best
}

test('[V50] reading the figures costs the same after 100 000 messages as after 100, give or take, and is no longer', async () => {
  await using bus = createBus({ failures: 10 })
  bus.register('a', { handler: (message) => message.data })
  const work = async (count: number): Promise<void> => {
    for (const index of numbers(count)) await bus.send('a', index)
    await bus.idle()
  }
  const leaves = (value: unknown): number =>
    typeof value === 'object' && value !== null ? Object.values(value).reduce((sum, one) => sum + leaves(one), 0) : 1
  await work(100)
  const first = shortest(() => bus.stats())
  const size = leaves(bus.stats())
  await work(100_000)
  // A cost that grows with the number of messages would be a thousand times the first one.
  expect(shortest(() => bus.stats()) / Math.max(first, 0.001)).toBeLessThan(50)
  expect(leaves(bus.stats())).toBe(size)
})

test('[V51] at any time accepted = handled + in flight + waiting + failed + expired + dropped, and refusals stand beside it', async () => {
  const env = fakeEnv({ seed: 7 })
  const outcomes: Record<Failure['outcome'], number> = { failed: 0, expired: 0, dropped: 0 }
  await using bus = still({ env, waitMs: 40, onFailure: (failure) => void outcomes[failure.outcome]++ })
  let inFlight = 0
  let handled = 0
  const overflows = ['wait', 'refuse', 'drop-oldest', 'drop-newest', 'adaptive'] as const
  for (const overflow of overflows) {
    bus.register(overflow, {
      limit: 3,
      overflow,
      concurrency: 2,
      handler: async (_message, context) => {
        inFlight++
        const dice = env.random()
        await new Promise<void>((resolve) => void env.after(5 + dice * 30, resolve))
        inFlight--
        if (dice < 0.2) throw new Error(`${context.name} fails`)
        handled++
      },
    })
  }
  const told: DeliveryReport[] = []
  const acks: ReturnType<typeof follow>[] = []
  const balance = (): void => {
    const { ledger, queued } = bus.stats()
    expect(ledger.pending).toBe(queued + inFlight)
    expect({ ...ledger, pending: 0 }).toEqual({
      published: handled + inFlight + queued + outcomes.failed + outcomes.expired + outcomes.dropped,
      handled,
      pending: 0,
      ...outcomes,
    })
  }
  for (const step of numbers(400)) {
    const name = overflows[Math.floor(env.random() * 5)] ?? 'wait'
    const ttl = env.random() < 0.3 ? { ttlMs: 1 + env.random() * 50 } : {}
    const sent = bus.send(name, step, { ...ttl, receipt: true })
    acks.push(follow(sent))
    sent.then(
      async (ack) => told.push(...((await ack.receipt) ?? [])),
      () => undefined,
    )
    await Promise.resolve()
    balance()
    if (env.random() < 0.3) await env.advance(env.random() * 12)
    balance()
  }
  await env.advance(10_000)
  balance()
  const refused = acks.filter((one) => one.state === 'rejected').length
  const accepted = acks.filter((one) => one.state === 'resolved').length
  const { ledger, refused: counted } = bus.stats()
  expect([refused + accepted, ledger.pending, ledger.published, counted]).toEqual([400, 0, accepted, refused])
  expect(told.length).toBe(accepted)
  // The walk has come everywhere.
  for (const [what, count] of Object.entries({ ...outcomes, refused, handled })) expect(count, what).toBeGreaterThan(5)
})

test('[VN14] an idle bus with 10 workers and 100 agents arms no timer and does nothing for an hour', async () => {
  const { env, uses, fake } = countingEnv()
  await using bus = still({ env })
  for (const index of numbers(10)) bus.subscribe('work', async () => undefined, { group: 'workers', name: `w${index}` })
  for (const index of numbers(100)) bus.register(`agent-${index}`, { handler: async (message) => message.data })
  const reader = bus.register('reader')
  const reading = (async () => {
    for await (const _ of reader) await Promise.resolve()
  })()
  await fake.settle()
  expect(fake.timers).toBe(0)
  const rest = async (): Promise<void> => {
    const before: Uses = { ...uses }
    await fake.advance(3_600_000)
    expect({ ...uses }).toEqual(before)
    expect(fake.timers).toBe(0)
  }
  await rest()
  for (const index of numbers(200)) await bus.publish('work', index)
  const asked = await Promise.all(numbers(100).map(async (index) => bus.request(`agent.agent-${index}`, index)))
  expect(asked.length).toBe(100)
  await bus.send('reader', 1)
  // One timer may outlive the work it watched, for a moment.
  await fake.advance(200)
  await rest()
  await bus.close()
  await reading
})

/** Everything a bus uses of its environment, and the turns of the microtask queue, until all is handled. */
async function effort(
  workers: number,
  send: 'one-way' | 'pool' | 'broadcast',
): Promise<{ uses: number; ticks: number }> {
  const { env, uses } = countingEnv()
  await using bus = still({ env })
  let handled = 0
  const handler = async (): Promise<void> => void handled++
  const count = send === 'broadcast' ? 100 : 2_000
  if (send === 'pool')
    for (const index of numbers(workers)) bus.subscribe('work', handler, { group: 'g', name: `w${index}` })
  else {
    for (const index of numbers(send === 'broadcast' ? 20 : 1)) {
      bus.register(`agent-${index}`, { concurrency: workers, handler })
    }
  }
  const before: Uses = { ...uses }
  for (const index of numbers(count)) {
    if (send === 'broadcast') void bus.broadcast(index)
    else void bus.publish(send === 'pool' ? 'work' : 'agent.agent-0', index)
  }
  let ticks = 0
  const expected = send === 'broadcast' ? 2_000 : count
  for (; handled < expected && ticks < 1_000_000; ticks++) await Promise.resolve()
  expect(handled).toBe(expected)
  const sum = uses.after - before.after + uses.soon - before.soon + uses.nextTurn - before.nextTurn
  return { uses: sum + uses.clock - before.clock, ticks }
}

test.each(['one-way', 'pool', 'broadcast'] as const)(
  '[VN13] with 10 workers a %s message costs no more than twice what it costs with 1',
  async (send) => {
    const one = await effort(1, send)
    const ten = await effort(10, send)
    expect(ten.uses).toBeLessThanOrEqual(one.uses * 2)
    expect(ten.ticks).toBeLessThanOrEqual(one.ticks * 2)
    expect(one.ticks).toBeGreaterThan(0)
  },
)
