import { expect, test } from 'vitest'
import { type AgentStatus, createBus, type Message } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { codeOf, follow, gate, numbers, refusal, still, thrown } from './support/cortex-veritas.ts'

test('[V22] an agent registers with a sync or an async handler, and both answer', async () => {
  await using bus = createBus()
  bus.register('sync', { handler: (message) => `sync ${message.data}` })
  bus.register('async', { handler: async (message) => `async ${message.data}` })
  expect((await bus.request('agent.sync', 1)).data).toBe('sync 1')
  expect((await bus.request('agent.async', 2)).data).toBe('async 2')
})

test('[V22] a second registration of a name replaces the first only on demand', async () => {
  await using bus = createBus()
  const first = bus.register('a', { type: 'old', handler: () => 'first' })
  expect(thrown(() => bus.register('a', { handler: () => 'second' }))).toBe('AGENT_EXISTS')
  expect((await bus.request('agent.a', 1)).data).toBe('first')
  const second = bus.register('a', { type: 'new', handler: () => 'second', replace: true })
  expect((await bus.request('agent.a', 1)).data).toBe('second')
  expect([first.registered, second.registered]).toEqual([false, true])
  // The old handle must not take the new agent away.
  expect(first.unregister()).toBe(false)
  expect(bus.agent('a')?.type).toBe('new')
})

test('[V22] agents are found by name, by type and by capability, and are gone after unregistering', async () => {
  await using bus = createBus()
  bus.register('env-1', { type: 'environment', capabilities: ['search', 'climate'] })
  const second = bus.register('env-2', { type: 'environment', capabilities: ['search'] })
  bus.register('fin-1', { type: 'finance', capabilities: ['cost'] })
  const names = (query?: { type?: string; capability?: string }): string[] => bus.agents(query).map((one) => one.name)
  expect(bus.agent('env-1')).toMatchObject({ name: 'env-1', type: 'environment', capabilities: ['search', 'climate'] })
  expect(bus.agent('nobody')).toBeUndefined()
  expect(names()).toEqual(['env-1', 'env-2', 'fin-1'])
  expect(names({ type: 'environment' })).toEqual(['env-1', 'env-2'])
  expect(names({ capability: 'search' })).toEqual(['env-1', 'env-2'])
  expect(names({ type: 'finance', capability: 'search' })).toEqual([])
  expect(second.unregister()).toBe(true)
  expect(second.unregister()).toBe(false)
  expect(names({ capability: 'search' })).toEqual(['env-1'])
  expect(bus.agent('env-2')).toBeUndefined()
  expect(await codeOf(bus.send('env-2', 1))).toBe('UNKNOWN_AGENT')
})

test('[V23] the registry shows the status an agent reports, and a request to a capability prefers the idle one', async () => {
  await using bus = createBus()
  const agents = ['a', 'b', 'c'].map((name) => bus.register(name, { capabilities: ['sum'], handler: () => name }))
  const set = (statuses: readonly AgentStatus[]): void => {
    for (const [at, status] of statuses.entries()) agents[at]?.setStatus(status)
  }
  const answered = async (): Promise<unknown> => (await bus.request({ capability: 'sum' }, {})).data
  set(['busy', 'idle', 'error'])
  expect(bus.agents().map((one) => one.status)).toEqual(['busy', 'idle', 'error'])
  expect(await answered()).toBe('b')
  set(['error', 'offline', 'idle'])
  expect(await answered()).toBe('c')
  set(['offline', 'error', 'busy'])
  expect(await answered()).toBe('c')
  set(['offline', 'offline', 'offline'])
  expect(await codeOf(bus.request({ capability: 'sum' }, {}))).toBe('UNKNOWN_AGENT')
  expect(await codeOf(bus.request({ capability: 'fly' }, {}))).toBe('UNKNOWN_AGENT')
})

test('[V23] of several idle agents with a capability the one with the least to do is asked', async () => {
  await using bus = still({ env: fakeEnv() })
  const busy = gate()
  const handled: Record<string, number> = { a: 0, b: 0, c: 0 }
  for (const name of Object.keys(handled)) {
    bus.register(name, {
      capabilities: ['sum'],
      handler: async () => {
        handled[name]!++
        await busy.closed
        return name
      },
    })
  }
  const asked = numbers(9).map(async () => bus.request({ capability: 'sum' }, {}))
  busy.open()
  await Promise.all(asked)
  expect(handled).toEqual({ a: 3, b: 3, c: 3 })
})

test('[V24] a send is accepted, or refused with the reason: full after 1 s, not running, unknown, invalid', async () => {
  const env = fakeEnv()
  const bus = still({ env, limit: 1 })
  const busy = gate()
  bus.register('a', { handler: () => busy.closed })
  expect(await bus.send('a', 1)).toMatchObject({ recipients: 1, refused: [], topic: 'agent.a', level: 'memory' })
  await env.settle()
  await bus.send('a', 2)
  const third = follow(bus.send('a', 3))
  await env.advance(990)
  expect(third.state).toBe('pending')
  await env.advance(40)
  expect(third.error).toMatchObject({ code: 'QUEUE_FULL', details: { name: 'a', size: 1, limit: 1 } })
  expect(await refusal(bus.send('nobody', 1))).toMatchObject({ code: 'UNKNOWN_AGENT', details: { wanted: 'nobody' } })
  expect(await codeOf(bus.send('a', 1, { ttlMs: -1 }))).toBe('INVALID_MESSAGE')
  expect(await codeOf(bus.send('no valid name', 1))).toMatch(/^(INVALID_TOPIC|UNKNOWN_AGENT)$/)
  busy.open()
  await env.settle()
  const stopping = bus.stop()
  expect(await codeOf(bus.send('a', 1))).toBe('NOT_RUNNING')
  await env.advance(10)
  await stopping
  expect(await codeOf(bus.send('a', 1))).toBe('NOT_RUNNING')
  await bus.close()
  expect(await codeOf(bus.send('a', 1))).toBe('BUS_CLOSED')
})

test('[V24] [V25] a message to several agents is one message, and its receipt tells the outcome at each of them', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const slow = gate()
  const seen: Message[] = []
  bus.register('good', { handler: (message) => void seen.push(message) })
  bus.register('bad', {
    handler: (message) => {
      seen.push(message)
      throw new Error('broken')
    },
  })
  bus.register('slow', {
    handler: async (message) => {
      seen.push(message)
      await slow.closed
    },
  })
  bus.register('stuck', { handlerTimeoutMs: 100, handler: () => new Promise<void>(() => undefined) })
  const ack = await bus.send(['good', 'bad', 'slow', 'stuck', 'good'], { part: 1 }, { receipt: true })
  expect(ack.recipients).toBe(4)
  const receipt = follow(ack.receipt as Promise<unknown>)
  await env.settle()
  // Nobody waits for the slow, the stuck or the failing one.
  expect(seen.length).toBe(3)
  expect(new Set(seen.map((one) => one.id))).toEqual(new Set([ack.id]))
  await bus.send('good', 'next')
  await env.settle()
  expect(seen.at(-1)?.data).toBe('next')
  expect(receipt.state).toBe('pending')
  await env.advance(150)
  slow.open()
  await env.settle()
  const reports = await ack.receipt
  expect(reports?.toSorted((a, b) => a.name.localeCompare(b.name))).toMatchObject([
    { name: 'bad', outcome: 'failed', reason: 'handler-error' },
    { name: 'good', outcome: 'handled' },
    { name: 'slow', outcome: 'handled' },
    { name: 'stuck', outcome: 'failed', reason: 'handler-timeout' },
  ])
  expect(bus.stats().messages).toBe(2)
})

test('[V25] one recipient without room is refused alone, and the others get the message', async () => {
  await using bus = still({ env: fakeEnv() })
  const busy = gate()
  const got: string[] = []
  for (const name of ['a', 'b', 'c']) {
    bus.register(name, {
      ...(name === 'b' ? { limit: 1, overflow: 'refuse' as const } : {}),
      handler: (message) => {
        if (message.data === 'block') return busy.closed
        got.push(name)
        return undefined
      },
    })
  }
  await bus.send('b', 'block')
  await new Promise<void>((resolve) => void setImmediate(resolve))
  await bus.send('b', 'waits')
  const ack = await bus.send(['a', 'b', 'c'], 'all', { receipt: true })
  expect(ack.recipients).toBe(2)
  expect(ack.refused.map((one) => one.name)).toEqual(['b'])
  const reports = await ack.receipt
  expect(reports?.map((one) => [one.name, one.outcome])).toEqual(
    expect.arrayContaining([
      ['a', 'handled'],
      ['b', 'refused'],
      ['c', 'handled'],
    ]),
  )
  expect(got).toEqual(['a', 'c'])
  busy.open()
})

test('[V29] agents subscribe to topics, the list of subscribers is known, and a publish is of normal level', async () => {
  await using bus = createBus()
  const seen: Message[] = []
  const agents = ['a', 'b'].map((name) => bus.register(name))
  const [first] = agents.map((agent) => agent.subscribe('news', (message) => void seen.push(message)))
  expect(bus.subscribers('news')).toEqual(['a', 'b'])
  expect(bus.subscribers('other')).toEqual([])
  const sender = bus.register('sender')
  const ack = await sender.publish('news', { headline: 1 }, { until: 'handled' })
  expect(ack.recipients).toBe(2)
  expect(seen.map((one) => [one.from, one.priority])).toEqual([
    ['sender', 'normal'],
    ['sender', 'normal'],
  ])
  expect(first?.unsubscribe()).toBe(true)
  expect(bus.subscribers('news')).toEqual(['b'])
  await sender.publish('news', { headline: 2 }, { until: 'handled' })
  expect(seen.length).toBe(3)
  agents[1]?.unregister()
  expect(bus.subscribers('news')).toEqual([])
  expect(thrown(() => agents[1]?.subscribe('news', () => undefined))).toBe('UNKNOWN_AGENT')
})

test('[V29] who gets a message is fixed when it is accepted: a later subscriber gets nothing of it', async () => {
  await using bus = still({ env: fakeEnv() })
  const early: unknown[] = []
  const late: unknown[] = []
  const busy = gate()
  bus.subscribe('news', async (message) => {
    await busy.closed
    early.push(message.data)
  })
  const publishing = numbers(5).map(async (index) => bus.publish('news', index))
  bus.subscribe('news', (message) => void late.push(message.data))
  await Promise.all(publishing)
  busy.open()
  await bus.idle()
  expect(early).toEqual(numbers(5))
  expect(late).toEqual([])
})

test('[V29] 200 subscribers of one topic and of wildcards that cover it get every message once', async () => {
  await using bus = createBus()
  const counts = numbers(200).map(() => 0)
  const patterns = ['news.sport.tennis', 'news.*.tennis', 'news.>', '*.sport.*']
  for (const index of numbers(200)) bus.subscribe(patterns[index % 4] as string, () => void counts[index]!++)
  bus.subscribe('news.*', () => void counts.push(-1))
  const ack = await bus.publish('news.sport.tennis', 1)
  expect(ack.recipients).toBe(200)
  await bus.publish('news.sport.tennis', 2, { until: 'handled' })
  expect(counts).toEqual(numbers(200).map(() => 2))
})

test('[VN8] an unknown recipient is refused by default and marked as held where holding is configured', async () => {
  await using bus = createBus()
  expect(await codeOf(bus.send('later', 1))).toBe('UNKNOWN_AGENT')
  bus.register('a', { handler: () => undefined })
  expect(await codeOf(bus.send(['a', 'later'], 1))).toBe('UNKNOWN_AGENT')
  expect(await codeOf(bus.request('agent.later', 1))).toBe('NO_RESPONDERS')
  expect(bus.stats().ledger.published).toBe(0)

  await using holding = createBus({ unknownAgent: 'hold' })
  const seen: unknown[] = []
  for (const index of numbers(3)) expect(await holding.send('later', index)).toMatchObject({ held: true })
  expect(holding.queueSize('later')).toBe(3)
  holding.register('later', { handler: (message) => void seen.push(message.data) })
  expect(await holding.send('later', 3)).toMatchObject({ held: false })
  await holding.idle()
  expect(seen).toEqual([0, 1, 2, 3])
})

test('[VN9] an event that is sent to one agent goes to that one, not to everybody', async () => {
  await using bus = createBus()
  const got: string[] = []
  for (const name of ['a', 'b', 'c']) bus.register(name, { handler: () => void got.push(name) })
  bus.subscribe('news', () => void got.push('topic'))
  await bus.send('b', { topic: 'news', data: { headline: 1 } })
  await bus.idle()
  expect(got).toEqual(['b'])
})

test('[VN9] an empty list of recipients is refused, and a sender gets its own broadcast only when it asks', async () => {
  await using bus = createBus()
  const got: string[] = []
  const agents = ['a', 'b', 'c'].map((name) => bus.register(name, { handler: () => void got.push(name) }))
  expect(await codeOf(bus.send([], 'for nobody'))).toBe('INVALID_MESSAGE')
  await bus.idle()
  expect(got).toEqual([])
  await agents[0]?.broadcast('hello')
  await bus.idle()
  expect(got.splice(0)).toEqual(['b', 'c'])
  await agents[0]?.broadcast('hello', { echo: true })
  await bus.idle()
  expect(got.splice(0)).toEqual(['a', 'b', 'c'])
  bus.register('d', { handler: (_message, context) => void context.bus.broadcast('from within') })
  await bus.send('d', 'go')
  await bus.idle()
  expect(got).toEqual(['a', 'b', 'c'])
})
