import { expect, test } from 'vitest'
import { type AgentStatus, createBus, type Message, type Priority, pathOf, priorityFrom } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { codeOf, follow, gate, listen, numbers, refusal, still, thrown, until } from './support/cortex-veritas.ts'

test('[V12] the levels LOW, NORMAL, HIGH and URGENT order the delivery, and URGENT is critical', async () => {
  await using bus = still({ env: fakeEnv() })
  const busy = gate()
  const order: Priority[] = []
  bus.register('a', {
    handler: (message) => (message.data === 'first' ? busy.closed : void order.push(message.priority)),
  })
  await bus.send('a', 'first')
  for (const name of ['LOW', 'NORMAL', 'HIGH', 'URGENT', 'Low', 'urgent']) {
    await bus.send('a', name, { priority: priorityFrom(name) })
  }
  busy.open()
  await bus.idle()
  expect(order).toEqual(['critical', 'critical', 'high', 'normal', 'low', 'low'])
})

test('[V12] an agent may be idle, busy, error, offline or initializing, and nothing else', async () => {
  await using bus = createBus()
  const agent = bus.register('a', { status: 'initializing' })
  expect(bus.agent('a')?.status).toBe('initializing')
  for (const status of ['idle', 'busy', 'error', 'offline', 'initializing'] as const) {
    agent.setStatus(status)
    expect(bus.agent('a')?.status).toBe(status)
  }
  expect(thrown(() => agent.setStatus('asleep' as AgentStatus))).toBe('INVALID_OPTION')
  expect(bus.agent('a')?.status).toBe('initializing')
})

test('[V14] under the preset veritas a message has time, normal level, no headers, attempt 1, and lives 300 s', async () => {
  const env = fakeEnv()
  await using bus = still({ env, preset: 'veritas' })
  const busy = gate()
  const seen: { readonly message: Message; readonly attempt: number }[] = []
  bus.register('a', {
    concurrency: 1,
    handler: (message, { attempt }) => {
      seen.push({ message, attempt })
      return message.data === 'first' ? busy.closed : undefined
    },
  })
  await bus.send('a', 'first')
  await env.settle()
  const [first] = seen
  expect(first?.attempt).toBe(1)
  expect(first?.message).toMatchObject({ time: env.wallMs(), priority: 'normal', replyTo: undefined })
  expect({ ...first?.message.headers }).toEqual({})
  expect(first?.message.expiresAt).toBe(env.wallMs() + 300_000)
  await env.advance(1_000)
  await bus.send('a', 'in time')
  await bus.send('a', 'too old', { ttlMs: 20_000 })
  await env.advance(20_001)
  busy.open()
  await env.settle()
  expect(seen.map((one) => one.message.data)).toEqual(['first', 'in time'])
  expect(bus.failures().map((one) => [one.message.data, one.reason])).toEqual([['too old', 'expired']])
})

test('[V14] a request carries a correlation id of its own or the given one, and a reply address', async () => {
  await using bus = createBus({ preset: 'veritas' })
  const seen: Message[] = []
  bus.register('a', { handler: (message) => seen.push(message) })
  await bus.request('agent.a', 1)
  await bus.request('agent.a', 2)
  await bus.request('agent.a', 3, { correlationId: 'mine' })
  const ids = seen.map((one) => one.correlationId)
  expect(new Set(ids).size).toBe(3)
  expect(ids[2]).toBe('mine')
  expect(ids.every((one) => typeof one === 'string' && one !== '')).toBe(true)
  expect(seen.every((one) => one.replyTo !== undefined)).toBe(true)
})

test('[V15] ids are unique, data is checked, an empty list of recipients is refused, and only broadcast means everybody', async () => {
  await using bus = createBus()
  const got: string[] = []
  for (const name of ['a', 'b', 'c']) bus.register(name, { handler: () => void got.push(name) })
  const ids = await Promise.all(numbers(1_000).map(async () => (await bus.publish('nobody', {})).id))
  expect(new Set(ids).size).toBe(1_000)
  expect(await codeOf(bus.send([], { a: 1 }))).toBe('INVALID_MESSAGE')
  expect(await codeOf(bus.publish('nobody', { call: (): void => undefined }, { payload: 'copy' }))).toBe(
    'INVALID_PAYLOAD',
  )
  expect(await codeOf(bus.send('a', 1, { headers: { a: 1 as unknown as string } }))).toBe('INVALID_MESSAGE')
  expect(await codeOf(bus.send('a', 1, { priority: 'soon' as Priority }))).toBe('INVALID_MESSAGE')
  await bus.idle()
  expect(got).toEqual([])
  await bus.broadcast({ a: 1 })
  await bus.idle()
  expect(got).toEqual(['a', 'b', 'c'])
})

test('[V16] an answer has the level, the correlation and the headers of its request, names it, and goes to its sender', async () => {
  await using bus = createBus({ preset: 'veritas' })
  const requests: Message[] = []
  bus.register('b', {
    handler: (message) => {
      requests.push(message)
      return { ok: true }
    },
  })
  const a = bus.register('a')
  for (const priority of ['low', 'normal', 'high', 'critical'] as const) {
    const answer = await a.request('agent.b', 1, { priority, headers: { trace: 'x', tenant: 't' } })
    const request = requests.at(-1)
    expect(answer.priority).toBe(priority)
    expect(answer).toMatchObject({
      from: 'b',
      to: 'a',
      causationId: request?.id,
      correlationId: request?.correlationId,
    })
    expect({ ...answer.headers }).toEqual({ trace: 'x', tenant: 't' })
    expect(answer.id).not.toBe(request?.id)
  }
})

test('[V17] correlation and root stay the same along a chain of five agents, and headers of one hop are not the next one’s', async () => {
  await using bus = createBus()
  const seen: Message[] = []
  const names = ['a', 'b', 'c', 'd', 'e']
  names.forEach((name, at) => {
    bus.register(name, {
      handler: async (message, context) => {
        seen.push(message)
        const next = names[at + 1]
        if (next === undefined) return 'end'
        const answer = await context.bus.request(`agent.${next}`, at, { headers: { hop: String(at) } })
        seen.push(answer)
        return answer.data
      },
    })
  })
  const given = { hop: 'start' }
  const asked = bus.request('agent.a', 'go', { headers: given })
  given.hop = 'changed by the caller afterwards'
  const answer = await asked
  expect(answer.data).toBe('end')
  expect(seen.length).toBe(9)
  expect(new Set([...seen, answer].map((one) => one.correlationId)).size).toBe(1)
  expect(new Set([...seen, answer].map((one) => one.rootId))).toEqual(new Set([seen[0]?.id]))
  expect(seen.slice(0, 5).map((one) => one.headers.hop)).toEqual(['start', '0', '1', '2', '3'])
  expect(() => Object.assign(answer.headers, { hop: 'changed' })).toThrow(TypeError)
  expect(answer.headers.hop).toBe('start')
})

test.each(['return', 'reply'] as const)(
  '[V17] a request that is handed on is answered by the last agent, straight to the first requester (%s)',
  async (way) => {
    const env = fakeEnv()
    await using bus = still({ env })
    bus.register('b', {
      handler: async (message, context) => {
        await context.bus.send('c', { handed: message.data }, { replyTo: message.replyTo as string })
      },
    })
    bus.register('c', {
      handler: (message, context) => {
        if (way === 'return') return { answer: message.data }
        context.reply({ answer: message.data })
        return undefined
      },
    })
    const a = bus.register('a')
    const asked = follow(a.request('agent.b', 1, { correlationId: 'the-chain' }))
    await env.settle()
    expect(asked.state).toBe('resolved')
    expect(asked.value?.data).toEqual({ answer: { handed: 1 } })
    expect(asked.value).toMatchObject({ from: 'c', correlationId: 'the-chain' })
    expect(bus.stats().requests).toMatchObject({ pending: 0, strayAnswers: 0 })
  },
)

test('[V18] requests are normal, broadcasts high, both live 300 s, and a delivered message survives JSON unchanged', async () => {
  await using bus = still({ preset: 'veritas', env: fakeEnv() })
  const seen: Message[] = []
  bus.register('a', {
    handler: (message) => {
      seen.push(message)
      return 'ok'
    },
  })
  await bus.request('agent.a', { question: 1 })
  await bus.broadcast({ news: 2 })
  await bus.send('a', { context_type: 'rag_context', context_data: { list: [1, 'two', null] } })
  await bus.idle()
  expect(seen.map((one) => one.priority)).toEqual(['normal', 'high', 'normal'])
  // A request lives no longer than somebody waits for its answer.
  expect(seen.map((one) => (one.expiresAt ?? 0) - one.time)).toEqual([30_000, 300_000, 300_000])
  for (const one of seen) {
    const back = JSON.parse(JSON.stringify(one)) as Record<string, unknown>
    expect(back).toEqual(JSON.parse(JSON.stringify({ ...one })))
    expect(back.data).toEqual(one.data)
    expect(back).toMatchObject({ id: one.id, topic: one.topic, time: one.time, priority: one.priority })
  }
})

test('[V19] data above 100 KB is announced once, above 1 MB it is refused before anybody gets it', async () => {
  await using bus = createBus({ name: 'sizes' })
  using large = listen('message.large')
  let seen = 0
  bus.subscribe('files', () => void seen++)
  const of = (bytes: number): object => ({ text: 'x'.repeat(bytes) })
  await bus.publish('files', of(100 * 1_024 - 100))
  expect(large.heard).toEqual([])
  await bus.publish('files', of(100 * 1_024 + 1))
  expect(large.heard).toEqual([expect.objectContaining({ bus: 'sizes', topic: 'files', warnPayloadBytes: 102_400 })])
  await bus.publish('files', of(1_048_576 - 100))
  expect(large.heard.length).toBe(2)
  const error = await refusal(bus.publish('files', of(1_048_577)))
  expect(error.code).toBe('PAYLOAD_TOO_LARGE')
  expect(error.details.allowed).toBe(1_048_576)
  expect(await codeOf(bus.publish('files', 'x'.repeat(1_048_577)))).toBe('PAYLOAD_TOO_LARGE')
  await bus.idle()
  expect(seen).toBe(3)
})

test('[V19] both size limits can be adjusted, at the start and while running', async () => {
  await using bus = createBus({ maxPayloadBytes: 1_000, warnPayloadBytes: 500 })
  using large = listen('message.large')
  await bus.publish('files', 'x'.repeat(400))
  await bus.publish('files', 'x'.repeat(600))
  expect(large.heard.length).toBe(1)
  expect(await codeOf(bus.publish('files', 'x'.repeat(1_100)))).toBe('PAYLOAD_TOO_LARGE')
  bus.configure({ maxPayloadBytes: 3_000_000, warnPayloadBytes: 2_000_000 })
  await bus.publish('files', 'x'.repeat(1_500_000))
  expect(large.heard.length).toBe(1)
})

function ring(bus: ReturnType<typeof createBus>, seen: Message[]): void {
  const next: Record<string, string> = { a: 'b', b: 'c', c: 'a' }
  for (const [name, other] of Object.entries(next)) {
    bus.register(name, {
      handler: async (message, context) => {
        seen.push(message)
        await context.bus.send(other, message.data)
      },
    })
  }
}

test('[V20] a message that goes A, B, C, A is stopped at the hop limit, and the diagnostic shows the path', async () => {
  await using bus = createBus({ name: 'ring', maxHops: 6 })
  using announced = listen('hops.exceeded')
  const seen: Message[] = []
  ring(bus, seen)
  await bus.send('a', 'round')
  await until(() => bus.stats().ledger.pending === 0)
  const path = ['agent.a', 'agent.b', 'agent.c', 'agent.a', 'agent.b', 'agent.c', 'agent.a']
  expect(seen.map((one) => one.topic)).toEqual(path)
  expect(seen.map((one) => one.hops)).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(pathOf(seen.at(-1) as Message)).toEqual(path)
  expect(seen.slice(1).map((one) => one.causationId)).toEqual(seen.slice(0, -1).map((one) => one.id))
  const [failure] = bus.failures()
  expect(failure?.error).toMatchObject({
    code: 'HOP_LIMIT',
    details: { hops: 7, allowed: 6, path: [...path, 'agent.b'] },
  })
  expect(announced.heard).toEqual([expect.objectContaining({ bus: 'ring', hops: 7, path: [...path, 'agent.b'] })])
})

test('[V20] the default limit of hops is 32, for messages and for requests', async () => {
  await using bus = createBus()
  const seen: Message[] = []
  ring(bus, seen)
  await bus.send('a', 'round')
  await until(() => bus.stats().ledger.pending === 0)
  expect(seen.length).toBe(33)
  bus.register('self', {
    handler: async (message, context) => (await context.bus.request('agent.self', message.data)).data,
  })
  expect(await codeOf(bus.request('agent.self', 1))).toBe('HOP_LIMIT')
})
