import { expect, test } from 'vitest'
import { createBus, type Failure, type Message, type Middleware, PRIORITIES, type Priority } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { codeOf, data, follow, gate, inversions, listen, numbers, still } from './support/cortex-veritas.ts'

test('[V28] a broadcast starts all 10 agents before any of them has finished, on a standing clock, without the sender', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const all = gate()
  const started: string[] = []
  for (const index of numbers(10)) {
    bus.register(`agent-${index}`, {
      concurrency: 1,
      handler: async () => {
        started.push(`agent-${index}`)
        if (started.length === 9) all.open()
        await all.closed
      },
    })
  }
  const sender = bus.agent('agent-3')
  const ack = follow(bus.broadcast('hello', { from: sender?.name as string, until: 'handled' }))
  await env.settle()
  expect(ack.value?.recipients).toBe(9)
  expect(ack.value?.deliveries?.every((one) => one.outcome === 'handled')).toBe(true)
  expect(started).toEqual(numbers(10).flatMap((index) => (index === 3 ? [] : [`agent-${index}`])))
  expect(env.monotonicMs()).toBe(0)
  const withSender = await bus.broadcast('hello', { from: 'agent-3', echo: true, until: 'handled' })
  expect(withSender.recipients).toBe(10)
  expect((await bus.broadcast('x', { exclude: ['agent-1', 'agent-2'], until: 'handled' })).recipients).toBe(8)
})

test('[V28] a broadcast reaches agents that are registered, not those that are only declared', async () => {
  await using bus = createBus()
  bus.register('here', { handler: () => undefined })
  bus.declare('absent')
  expect((await bus.broadcast('hello')).recipients).toBe(1)
  expect(bus.queueSize('absent')).toBe(0)
})

test('[V30] higher levels go first, one level is first in, first out, and nothing waits behind more than 100', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const busy = gate()
  const seen: Message[] = []
  bus.register('a', {
    handler: (message) => (message.data === 'first' ? busy.closed : void seen.push(message)),
  })
  await bus.send('a', 'first')
  for (const index of numbers(500)) {
    await bus.send('a', index, { priority: PRIORITIES[4 - (index % 5)] as Priority })
  }
  busy.open()
  await env.settle()
  for (const level of PRIORITIES) {
    const line = data(seen.filter((one) => one.priority === level)) as number[]
    expect(line.length).toBe(100)
    expect(inversions(line)).toBe(0)
  }
  expect(seen.slice(0, 100).every((one) => one.priority === 'critical')).toBe(true)
  // By then the head of the low levels was passed 100 times: one of them goes before the next high ones.
  expect(seen.findIndex((one) => one.priority === 'background')).toBeLessThanOrEqual(103)
})

test('[V30] an agent handles one message at a time unless it allows more, and sessions keep their order even then', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const run = async (concurrency: number | undefined): Promise<{ most: number; order: number[] }> => {
    let running = 0
    let most = 0
    const order: number[] = []
    const agent = bus.register(`a-${concurrency}`, {
      ...(concurrency === undefined ? {} : { concurrency }),
      handler: async (message) => {
        most = Math.max(most, ++running)
        await new Promise<void>((resolve) => void env.after(10 + ((message.data as number) % 3), resolve))
        order.push(message.data as number)
        running--
      },
    })
    for (const index of numbers(20)) await bus.send(agent.name, index)
    await env.advance(1_000)
    return { most, order }
  }
  const alone = await run(undefined)
  expect(alone.most).toBe(1)
  expect(alone.order).toEqual(numbers(20))
  expect((await run(1)).order).toEqual(numbers(20))
  expect((await run(4)).most).toBe(4)
  expect((await run(10)).most).toBe(10)

  const perSession = new Map<string, number[]>()
  bus.register('talker', {
    concurrency: 10,
    handler: async (message) => {
      const { session = '' } = message
      await new Promise<void>((resolve) => void env.after(((message.data as number) * 7) % 13, resolve))
      perSession.set(session, [...(perSession.get(session) ?? []), message.data as number])
    },
  })
  for (const index of numbers(60)) await bus.send('talker', index, { session: `s${index % 3}` })
  await env.advance(5_000)
  for (const index of numbers(3)) expect(perSession.get(`s${index}`)).toEqual(numbers(20).map((at) => at * 3 + index))
})

test('[V32] a handler has 30 s and an abort signal; overrunning fails that delivery only, and the others go on', async () => {
  const env = fakeEnv()
  const failures: Failure[] = []
  await using bus = still({ env, onFailure: (failure) => void failures.push(failure) })
  using overran = listen('handler.overran')
  const reasons: unknown[] = []
  const seen: unknown[] = []
  bus.register('stuck', {
    handler: (message, context) => {
      if (message.data !== 'hangs') return void seen.push(message.data)
      expect(context.remainingMs).toBe(30_000)
      context.signal.addEventListener('abort', () => reasons.push(context.signal.reason))
      return new Promise<void>(() => undefined)
    },
  })
  let others = 0
  bus.register('other', { handler: async () => void others++ })
  const asked = follow(bus.request('agent.stuck', 'hangs', { timeoutMs: 60_000 }))
  await bus.send('stuck', 'next')
  for (const _ of numbers(100)) await bus.send('other', 1)
  await env.settle()
  expect(others).toBe(100)
  await env.advance(29_990)
  expect([seen, reasons, failures, asked.state]).toEqual([[], [], [], 'pending'])
  await env.advance(40)
  expect(reasons).toEqual([expect.objectContaining({ code: 'HANDLER_TIMEOUT' })])
  expect(asked.error).toMatchObject({ code: 'HANDLER_TIMEOUT', details: { name: 'stuck', limitMs: 30_000 } })
  expect(failures).toEqual([expect.objectContaining({ name: 'stuck', outcome: 'failed', reason: 'handler-timeout' })])
  expect(overran.heard).toEqual([expect.objectContaining({ name: 'stuck', limitMs: 30_000 })])
  expect(seen).toEqual(['next'])
  expect(bus.stats().handlerTimeouts).toBe(1)
  expect(bus.stats().ledger).toMatchObject({ handled: 101, failed: 1, pending: 0 })
})

test('[V32] the limit can be set for an agent, extended by its handler, and what ends late changes nothing', async () => {
  const env = fakeEnv()
  await using bus = still({ env, handlerTimeoutMs: 1_000 })
  const late = gate()
  bus.register('quick', { handlerTimeoutMs: 100, handler: () => late.closed })
  bus.register('patient', {
    handler: async (_message, context) => {
      await new Promise<void>((resolve) => void env.after(900, resolve))
      context.extend()
      await new Promise<void>((resolve) => void env.after(900, resolve))
    },
  })
  const quick = follow(bus.send('quick', 1, { until: 'handled' }))
  const patient = follow(bus.send('patient', 1, { until: 'handled' }))
  await env.advance(2_000)
  expect(quick.value?.deliveries).toMatchObject([{ outcome: 'failed', reason: 'handler-timeout' }])
  expect(patient.value?.deliveries).toMatchObject([{ outcome: 'handled' }])
  late.open()
  await env.settle()
  expect(bus.stats().ledger).toMatchObject({ published: 2, handled: 1, failed: 1, pending: 0 })
})

test('[VN3] one handler never returns: other agents do not stop, and the bus does not look healthy', async () => {
  const env = fakeEnv()
  await using bus = still({ env, maxHandlers: 1 })
  const stalls: string[] = []
  const unwatch = bus.watch({ limitMs: 10_000, checkMs: 1_000, onStall: (stall) => void stalls.push(stall.name) })
  bus.register('stuck', { handler: () => new Promise<void>(() => undefined) })
  let others = 0
  bus.register('other', { handler: async () => void others++ })
  expect(bus.health().status).toBe('healthy')
  await bus.send('stuck', 1)
  await env.settle()
  for (const _ of numbers(100)) await bus.send('other', 1)
  await env.advance(11_000)
  // The only place is taken: the pool of one says so, and names who does not get on.
  expect(bus.health().status).not.toBe('healthy')
  expect(bus.health().reasons.length).toBeGreaterThan(0)
  expect(stalls).toContain('stuck')
  await env.advance(20_000)
  expect(others).toBe(100)
  unwatch()
})

test('[VN3] with the default limits others go on at once beside 50 handlers that never return', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  for (const index of numbers(50)) {
    bus.register(`stuck-${index}`, { handler: () => new Promise<void>(() => undefined) })
    await bus.send(`stuck-${index}`, 1)
  }
  let others = 0
  bus.register('other', { handler: async () => void others++ })
  for (const _ of numbers(100)) await bus.send('other', 1)
  await env.settle()
  expect(others).toBe(100)
})

test.each([1, 10])(
  '[VN4] 100 messages of one level come out in order with %i publishers: 0 inversions',
  async (count) => {
    await using bus = createBus()
    const seen: number[] = []
    bus.register('a', { handler: async (message) => void seen.push(message.data as number) })
    let next = 0
    const publisher = async (): Promise<void> => {
      while (next < 100) await bus.send('a', next++)
    }
    await Promise.all(numbers(count).map(publisher))
    await bus.idle()
    expect(seen.length).toBe(100)
    expect(inversions(seen)).toBe(0)
  },
)

test('[VN5] a full queue refuses with QUEUE_FULL and names it, and the sender waits no longer than its limit', async () => {
  const env = fakeEnv()
  await using bus = still({ env, limit: 10, waitMs: 500 })
  const busy = gate()
  bus.register('a', { handler: () => busy.closed })
  await bus.send('a', 'first')
  await env.settle()
  for (const index of numbers(10)) await bus.send('a', index)
  const waiting = numbers(5).map((index) => follow(bus.send('a', index)))
  const asked = follow(bus.request('agent.a', 1))
  await env.advance(490)
  expect([...waiting, asked].map((one) => one.state)).toEqual(numbers(6).map(() => 'pending'))
  await env.advance(40)
  for (const one of [...waiting, asked]) {
    expect(one.error).toMatchObject({ code: 'QUEUE_FULL', family: 'resource', details: { name: 'a', limit: 10 } })
    expect((one.error as Error).message).toContain('"a" is full (10 of 10 messages)')
  }
  expect(bus.stats().refused).toBe(6)
  bus.register('strict', { overflow: 'refuse', limit: 1, handler: () => busy.closed })
  await bus.send('strict', 1)
  await env.settle()
  await bus.send('strict', 2)
  expect(await codeOf(bus.send('strict', 3))).toBe('QUEUE_FULL')
})

/** What a retry needs of the bus: it wraps the handler of one recipient, and waits before each further attempt. */
function retry(env: ReturnType<typeof fakeEnv>, attempts: number, waits: number[]): Middleware {
  return (next) => async (message, context) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await next(message, context)
      } catch (error) {
        if (attempt === attempts) throw error
        const beforeMs = env.monotonicMs()
        await new Promise<void>((resolve) => void env.after(100 * 2 ** (attempt - 1), resolve))
        waits.push(env.monotonicMs() - beforeMs)
      }
    }
  }
}

test.each(PRIORITIES)(
  '[VN6] a retry attaches per recipient at level %s: the good ones get the message once',
  async (priority) => {
    const env = fakeEnv()
    await using bus = still({ env })
    const waits: number[] = []
    bus.use(retry(env, 4, waits))
    const got: Record<string, number> = { good: 0, better: 0, bad: 0 }
    for (const name of Object.keys(got)) {
      bus.register(name, {
        handler: () => {
          got[name]!++
          if (name === 'bad' && got.bad! <= 3) throw new Error('not yet')
        },
      })
    }
    const sent = follow(bus.send(['good', 'better', 'bad'], 1, { priority, until: 'handled' }))
    await env.settle()
    // Not immediately again: the second attempt waits for the clock.
    expect(got).toEqual({ good: 1, better: 1, bad: 1 })
    await env.advance(1_000)
    expect(got).toEqual({ good: 1, better: 1, bad: 4 })
    expect(waits).toEqual([100, 200, 400])
    expect(sent.value?.deliveries?.map((one) => one.outcome)).toEqual(['handled', 'handled', 'handled'])
  },
)

test('[VN7] an agent that throws, now or later, fills the failures, calls onFailure, and the requester gets a typed error', async () => {
  const told: Failure[] = []
  await using bus = createBus({ onFailure: (failure) => void told.push(failure) })
  bus.register('now', {
    handler: () => {
      throw new RangeError('now')
    },
  })
  bus.register('later', { handler: async () => Promise.reject(new RangeError('later')) })
  await bus.send('now', 1, { until: 'handled' })
  await bus.send('later', 2, { until: 'handled' })
  expect(await codeOf(bus.request('agent.now', 3))).toBe('HANDLER_FAILED')
  expect(told).toEqual(bus.failures())
  expect(told.map((one) => [one.name, one.message.data, one.outcome, one.reason, one.attempt])).toEqual([
    ['now', 1, 'failed', 'handler-error', 1],
    ['later', 2, 'failed', 'handler-error', 1],
    ['now', 3, 'failed', 'handler-error', 1],
  ])
  expect(told.map((one) => (one.error as Error).message)).toEqual(['now', 'later', 'now'])
  expect(bus.stats().ledger).toMatchObject({ handled: 0, failed: 3 })
  expect(bus.stats().failures).toBe(3)
})

test('[VN12] 1 000 sent, stopped after 50 ms: the rest is reported one by one, and callers get a typed error', async () => {
  const env = fakeEnv()
  const told: Failure[] = []
  await using bus = still({ env, onFailure: (failure) => void told.push(failure) })
  const handled: unknown[] = []
  bus.register('a', {
    concurrency: 1,
    handler: async (message, { signal }) => {
      await new Promise<void>((resolve) => void env.after(5, resolve))
      if (!signal.aborted) handled.push(message.data)
    },
  })
  for (const index of numbers(1_000)) await bus.send('a', index)
  const asked = follow(bus.request('agent.a', 'asked', { timeoutMs: 60_000 }))
  const promised = follow(bus.send('a', 'promised', { until: 'handled' }))
  await env.settle()
  const stopping = follow(bus.stop({ limitMs: 50 }))
  await env.advance(100)
  const { value: report } = stopping
  expect(handled.length).toBeGreaterThan(0)
  expect((report?.left ?? 0) + (report?.abandoned ?? 0)).toBe(1_002 - handled.length)
  expect(told.length).toBe(1_002 - handled.length)
  expect(new Set(told.map((one) => one.reason))).toEqual(new Set(['shutdown']))
  expect([...handled, ...data(told.map((one) => one.message))].toSorted()).toEqual(
    [...numbers(1_000), 'asked', 'promised'].toSorted(),
  )
  expect(asked.error).toMatchObject({ code: 'BUS_CLOSED', family: 'bus' })
  expect(promised.value?.deliveries).toMatchObject([{ outcome: 'dropped', reason: 'shutdown' }])
  expect(bus.stats().ledger.pending).toBe(0)
  expect(bus.failures().length).toBe(Math.min(1_000, told.length))
})
