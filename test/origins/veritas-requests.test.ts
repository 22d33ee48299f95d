import { expect, test } from 'vitest'
import { type Bus, type BusOptions, createBus, isBusError, type Message, type Preset } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { codeOf, follow, gate, numbers, refusal, still } from './support/cortex-veritas.ts'

test('[V26] a request waits 30 s under the preset veritas and then fails with a typed time-out', async () => {
  const env = fakeEnv()
  await using bus = still({ env, preset: 'veritas' })
  bus.register('a', { handler: () => new Promise<void>(() => undefined) })
  const asked = follow(bus.request('agent.a', 1))
  const short = follow(bus.request('agent.a', 1, { timeoutMs: 200 }))
  await env.advance(190)
  expect(short.state).toBe('pending')
  await env.advance(40)
  expect(short.error).toMatchObject({ code: 'REQUEST_TIMEOUT', family: 'timeout', details: { timeoutMs: 200 } })
  await env.advance(29_000)
  expect(asked.state).toBe('pending')
  await env.advance(1_000)
  expect(isBusError(asked.error)).toBe(true)
  expect((asked.error as Error).message).toContain('agent.a')
  expect(bus.stats().requests).toMatchObject({ sent: 2, pending: 0 })
})

test('[V26] a message that was not sent by request cannot be answered', async () => {
  await using bus = createBus()
  const replied: boolean[] = []
  bus.register('a', {
    handler: (message, context) => {
      replied.push(context.reply('an answer to an event'))
      return message.replyTo
    },
  })
  await bus.send('a', 1, { until: 'handled' })
  const taken = bus.inbox('events')
  await bus.publish('events', 1)
  const event = await taken.receive()
  expect(bus.respond(event, 'an answer to an event')).toBe(false)
  expect(replied).toEqual([false])
  expect(bus.stats().requests.sent).toBe(0)
})

const ANSWERS: readonly unknown[] = [{}, [], '', 0, false, null, 'text', 1.5, [1, [2]], { a: { b: null } }]

test('[V26] [VN8] every payload counts as an answer, empty and non-object ones too, also for one who is not registered', async () => {
  await using bus = createBus()
  bus.register('a', { handler: (message) => ANSWERS[message.data as number] })
  bus.register('later', { handler: async (message) => ANSWERS[message.data as number] })
  bus.register('by-reply', { handler: (message, context) => void context.reply(ANSWERS[message.data as number]) })
  const reader = bus.register('by-hand')
  for (const [index, expected] of ANSWERS.entries()) {
    for (const name of ['a', 'later', 'by-reply']) {
      expect((await bus.request(`agent.${name}`, index, { from: 'not-registered' })).data, name).toEqual(expected)
    }
    const asked = bus.request('agent.by-hand', index)
    bus.respond(await reader.receive(), expected)
    expect((await asked).data).toEqual(expected)
  }
})

test('[V26] the first answer wins, later ones are counted and handed to onStrayAnswer', async () => {
  const env = fakeEnv()
  const stray: unknown[] = []
  await using bus = still({ env, onStrayAnswer: (answer) => void stray.push(answer.data) })
  const slow = gate()
  bus.subscribe('vote', async () => {
    await slow.closed
    return 'slow'
  })
  bus.subscribe('vote', () => 'quick')
  bus.subscribe('vote', (_message, context) => {
    context.reply('second')
    context.reply('third')
  })
  expect((await bus.request('vote', 1)).data).toBe('quick')
  slow.open()
  await env.settle()
  expect(stray.toSorted()).toEqual(['second', 'slow', 'third'])
  expect(bus.stats().requests.strayAnswers).toBe(3)
  const late = follow(bus.request('vote', 2, { timeoutMs: 50 }))
  await env.settle()
  expect(late.value?.data).toBe('quick')
})

/** A answers by asking B, B by asking C; every agent handles one message at a time. */
function chain(bus: Bus, verbs: 'context' | 'agent', concurrency?: number): void {
  const options = concurrency === undefined ? {} : { concurrency }
  const b = bus.register('b', {
    ...options,
    handler: async (message, context) => {
      const own = verbs === 'context' ? context.bus : b
      return `b(${(await own.request<string>('agent.c', message.data)).data})`
    },
  })
  bus.register('c', { ...options, handler: async (message) => `c${message.data}` })
}

interface Configuration {
  readonly name: string
  readonly options: BusOptions
  readonly concurrency?: number
}

const CONFIGURATIONS: readonly Configuration[] = [
  { name: 'the defaults', options: {} },
  { name: 'one worker', options: { maxHandlers: 1 } },
  { name: 'one worker, one at a time', options: { maxHandlers: 1 }, concurrency: 1 },
  { name: 'two workers', options: { maxHandlers: 2 }, concurrency: 2 },
  { name: 'ten workers', options: { maxHandlers: 10 }, concurrency: 10 },
  // Half of the 120 fit in, the other half waits for room.
  { name: 'queues that fill up', options: { limit: 60 } },
  { name: 'queues that fill up and one worker', options: { limit: 60, maxHandlers: 1 }, concurrency: 1 },
  { name: 'adaptive overflow', options: { limit: 200, overflow: 'adaptive' } },
  { name: 'copied data', options: { payload: 'copy' } },
  { name: 'cycles refused', options: { onCycle: 'refuse' } },
  ...(['zejzl', 'woodwork', 'cortex', 'llmgine', 'veritas'] as const).map((preset: Preset) => ({
    name: `preset ${preset}`,
    options: { preset },
  })),
]

test.each(CONFIGURATIONS)(
  '[V27] [VN2] A asks B, whose handler asks C, 120 times at once: all succeed with $name',
  async ({ options, concurrency }) => {
    const env = fakeEnv()
    await using bus = still({ env, ...options })
    chain(bus, 'context', concurrency)
    const a = bus.register('a')
    const asked = numbers(120).map((index) => follow(a.request('agent.b', index)))
    // Nothing may need the clock: neither to be woken nor to be saved by a time-out.
    for (let turn = 0; turn < 20 && asked.some((one) => one.state === 'pending'); turn++) await env.settle()
    expect(asked.map((one) => one.error ?? one.value?.data)).toEqual(numbers(120).map((index) => `b(c${index})`))
    expect(bus.stats().requests).toMatchObject({ sent: 240, pending: 0, timeouts: 0, strayAnswers: 0 })
    expect(bus.stats().concurrency.active).toBe(0)
  },
)

test.each(CONFIGURATIONS.slice(0, 5))(
  '[V27] [VN2] 120 nested requests asked through the agent’s own verbs succeed as well with $name',
  async ({ options, concurrency }) => {
    const env = fakeEnv()
    await using bus = still({ env, ...options })
    chain(bus, 'agent', concurrency)
    const asked = numbers(120).map((index) => follow(bus.request('agent.b', index)))
    for (let turn = 0; turn < 20 && asked.some((one) => one.state === 'pending'); turn++) await env.settle()
    expect(asked.map((one) => one.error ?? one.value?.data)).toEqual(numbers(120).map((index) => `b(c${index})`))
  },
)

test.each([1, 1_000])('[V27] requests nest 30 deep with room for %i running handlers', async (maxHandlers) => {
  const env = fakeEnv()
  await using bus = still({ env, maxHandlers })
  for (const level of numbers(30)) {
    bus.register(`level-${level}`, {
      handler: async (_message, context) => {
        if (level === 29) return [level]
        return [level, ...(await context.bus.request<number[]>(`agent.level-${level + 1}`, {})).data]
      },
    })
  }
  const asked = follow(bus.request('agent.level-0', {}))
  for (let turn = 0; turn < 20 && asked.state === 'pending'; turn++) await env.settle()
  expect(asked.value?.data).toEqual(numbers(30))
})

/** Agents that ask each other round in a ring until `left` is used up. */
function ring(bus: Bus, names: readonly string[], concurrency?: number): void {
  names.forEach((name, at) => {
    bus.register(name, {
      ...(concurrency === undefined ? {} : { concurrency }),
      handler: async (message, context) => {
        const left = message.data as number
        if (left === 0) return [name]
        const next = names[(at + 1) % names.length]
        return [name, ...(await context.bus.request<string[]>(`agent.${next}`, left - 1)).data]
      },
    })
  })
}

test.each([
  [['a'], 3],
  [['a', 'b'], 4],
  [['a', 'b', 'c'], 7],
])('[V27] a request that comes back to an agent waiting in the chain %j runs re-entrantly', async (names, hops) => {
  for (const [maxHandlers, concurrency, session] of [
    [1, 1, undefined],
    [1_000, 1, undefined],
    [1_000, undefined, undefined],
    [1_000, undefined, 'talk'],
    [2, 1, 'talk'],
  ] as const) {
    const env = fakeEnv()
    await using bus = still({ env, maxHandlers })
    ring(bus, names, concurrency)
    const asked = follow(bus.request(`agent.${names[0]}`, hops, session === undefined ? {} : { session }))
    await env.settle()
    expect(asked.value?.data).toEqual(numbers(hops + 1).map((at) => names[at % names.length]))
    expect(bus.stats().concurrency.active).toBe(0)
  }
})

test.each([[['a']], [['a', 'b']], [['a', 'b', 'c']]])(
  '[V27] with the option a request that comes back in the chain %j is refused at once as a cycle',
  async (names) => {
    const env = fakeEnv()
    await using bus = still({ env, onCycle: 'refuse' })
    ring(bus, names, 1)
    const asked = follow(bus.request(`agent.${names[0]}`, names.length + 2))
    await env.settle()
    expect(asked.error).toMatchObject({ code: 'REQUEST_CYCLE' })
    // A chain that does not come back is none.
    const straight = follow(bus.request(`agent.${names[0]}`, names.length - 1))
    await env.settle()
    expect(straight.value?.data).toEqual(names)
    expect(bus.stats().requests.pending).toBe(0)
  },
)

test('[V27] two agents that ask each other at the same time, 60 times each, both get their answers', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  for (const [name, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    bus.register(name, {
      concurrency: 1,
      handler: async (message, context) => {
        if (message.data === 'leaf') return `${name} answers`
        return (await context.bus.request(`agent.${other}`, 'leaf')).data
      },
    })
  }
  const asked = numbers(120).map((index) => follow(bus.request(index % 2 === 0 ? 'agent.a' : 'agent.b', 'root')))
  for (let turn = 0; turn < 20 && asked.some((one) => one.state === 'pending'); turn++) await env.settle()
  expect(asked.map((one) => one.error ?? one.value?.data)).toEqual(
    numbers(120).map((index) => (index % 2 === 0 ? 'b answers' : 'a answers')),
  )
})

test('[V31] a message is tested for its age before delivery, ends as "expired", and the requester is told', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const busy = gate()
  const seen: unknown[] = []
  bus.register('a', {
    handler: (message) => {
      seen.push(message.data)
      return message.data === 'first' ? busy.closed : 'ok'
    },
  })
  await bus.send('a', 'first')
  const asked = follow(bus.request('agent.a', 'asked', { ttlMs: 100, timeoutMs: 10_000 }))
  const told = bus.send('a', 'told', { ttlMs: 100, until: 'handled' })
  const fresh = follow(bus.request('agent.a', 'fresh', { ttlMs: 5_000, timeoutMs: 10_000 }))
  await env.advance(1_000)
  busy.open()
  await env.settle()
  expect(seen).toEqual(['first', 'fresh'])
  expect(fresh.value?.data).toBe('ok')
  expect(asked.error).toMatchObject({ code: 'MESSAGE_EXPIRED', family: 'timeout' })
  expect((await told).deliveries).toMatchObject([{ name: 'a', outcome: 'expired', reason: 'expired' }])
  expect(bus.failures().map((one) => [one.message.data, one.outcome, one.reason])).toEqual([
    ['asked', 'expired', 'expired'],
    ['told', 'expired', 'expired'],
  ])
  expect(bus.stats().ledger).toMatchObject({ published: 4, handled: 2, expired: 2 })
})

test('[V31] a message that expired is not handed to one who reads by hand, and a retry finds the deadline', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const reader = bus.register('reader')
  await bus.send('reader', 'old', { ttlMs: 50 })
  await bus.send('reader', 'fresh')
  await env.advance(60)
  expect((await reader.receive({ timeoutMs: 0 })).data).toBe('fresh')
  const aborted: unknown[] = []
  const stop = bus.use((next) => async (message, context) => {
    // Where a retry attaches: it sees the message's deadline and the signal that the deadline aborts.
    context.signal.addEventListener('abort', () => aborted.push((context.signal.reason as { code: string }).code))
    expect(message.expiresAt).toBe(message.time + 50)
    return next(message, context)
  })
  bus.register('slow', { handler: () => new Promise<void>(() => undefined) })
  await bus.send('slow', 1, { ttlMs: 50 })
  await env.advance(100)
  expect(aborted).toEqual(['MESSAGE_EXPIRED'])
  stop()
})

test.each([{}, ...(['zejzl', 'woodwork', 'cortex', 'llmgine', 'veritas'] as const).map((preset) => ({ preset }))])(
  '[VN1] with %j an idle request is not held back: 50 in a row on a standing clock',
  async (options) => {
    const env = fakeEnv()
    await using bus = still({ env, ...options })
    bus.register('echo', { handler: async (message) => message.data })
    await env.advance(1_000)
    const beforeMs = env.monotonicMs()
    for (const index of numbers(50)) {
      const asked = follow(bus.request('agent.echo', index))
      await env.settle()
      expect(asked.value?.data).toBe(index)
    }
    expect(env.monotonicMs()).toBe(beforeMs)
    expect(bus.stats().latency.maxMs).toBe(0)
  },
)

test('[VN11] 10 000 cancelled requests leave nothing: no open request, no message, no timer, no endless dead letters', async () => {
  const env = fakeEnv()
  await using bus = still({ env, limit: 10_001 })
  const busy = gate()
  let handled = 0
  bus.register('a', { handler: () => (++handled === 1 ? busy.closed : undefined) })
  await bus.send('a', 'first')
  const controllers = numbers(10_000).map(() => new AbortController())
  const asked = controllers.map(({ signal }) => follow(bus.request('agent.a', 1, { signal })))
  expect(bus.stats().requests.pending).toBe(10_000)
  for (const controller of controllers) controller.abort(new Error('given up'))
  await env.settle()
  expect(asked.every((one) => isBusError(one.error, 'CANCELLED'))).toBe(true)
  expect(bus.stats().requests.pending).toBe(0)
  busy.open()
  await env.settle()
  await env.advance(100)
  expect(handled).toBe(1)
  expect(bus.queueSize('a')).toBe(0)
  expect(bus.stats().ledger).toMatchObject({ pending: 0, handled: 1, dropped: 10_000 })
  expect(bus.failures().length).toBe(1_000)
  expect(new Set(bus.failures().map((one) => one.reason))).toEqual(new Set(['cancelled']))
  expect(env.timers).toBe(0)
})

test('[VN15] a supervisor that asks 3 agents of 100 ms has all answers after 100 ms, and one failure is one error', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  for (const name of ['environment', 'construction', 'finance']) {
    bus.register(name, {
      handler: () => new Promise((resolve) => void env.after(100, () => resolve(name))),
    })
  }
  const asked = follow(
    bus.requestAll(['environment', 'construction', 'finance'].map((name) => [`agent.${name}`, { query: 1 }] as const)),
  )
  await env.advance(99)
  expect(asked.state).toBe('pending')
  await env.advance(1)
  expect(asked.value?.map((one: Message) => one.data)).toEqual(['environment', 'construction', 'finance'])
  bus.register('broken', {
    handler: () => {
      throw new TypeError('no language model')
    },
  })
  const error = await refusal(bus.request('agent.broken', 1))
  expect(error.code).toBe('HANDLER_FAILED')
  expect(error.cause).toEqual(new TypeError('no language model'))
  expect(await codeOf(bus.requestAll([['agent.broken', 1]]))).toBe('HANDLER_FAILED')
})
