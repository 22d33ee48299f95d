import { expect, test } from 'vitest'
import { type Agent, type Bus, createBus, type Message } from '../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../src/testing/index.ts'
import { errorOf, faultOf, LATE_MS, numbered, PATIENT, takeAll, watched } from './support/zejzl.ts'

interface Scene {
  readonly env: FakeEnv
  readonly bus: Bus
  readonly a: Agent
  readonly b: Agent
  readonly strays: Message[]
  pending(): number
}

function scene(): Scene {
  const env = fakeEnv()
  const strays: Message[] = []
  const bus = createBus({ env, onStrayAnswer: (answer) => void strays.push(answer) })
  return { env, bus, strays, a: bus.register('a'), b: bus.register('b'), pending: () => bus.stats().requests.pending }
}

test('[Z14] a request carries from, to, type, content, level normal and a correlation id of its own', async () => {
  const { bus, a, b } = scene()
  const asked = [a.request('agent.b', { q: 1 }), a.request('agent.b', { q: 2 }, { priority: 'high' })].map(watched)
  const [second, first] = [await b.receive(), await b.receive()]
  expect(first).toMatchObject({ from: 'a', topic: 'agent.b', data: { q: 1 }, priority: 'normal' })
  expect(second).toMatchObject({ from: 'a', topic: 'agent.b', data: { q: 2 }, priority: 'high' })
  expect(first.correlationId).toBeTypeOf('string')
  expect(first.correlationId).not.toBe(second.correlationId)
  bus.respond(second, 'two')
  bus.respond(first, 'one')
  await expect.poll(() => asked.map((one) => one.value?.data), PATIENT).toEqual(['one', 'two'])
  expect(asked[0]?.value).toMatchObject({ to: 'a', correlationId: first.correlationId, causationId: first.id })
  expect([first.to, second.to]).toEqual(['b', 'b'])
})

test('[Z14] requests are kept apart from the inbox of who asks, and answers never enter it', async () => {
  const { bus, a, b, pending } = scene()
  const asked = watched(a.request('agent.b', 'q'))
  expect([pending(), bus.queueSize('a'), bus.queueSize('b')]).toEqual([1, 0, 1])
  bus.respond(await b.receive(), 'answer')
  await expect.poll(() => asked.value?.data, PATIENT).toBe('answer')
  expect(bus.queueSize('a')).toBe(0)
})

test('[Z14] the entry vanishes on answer, timeout, cancel, error and close', async () => {
  const { env, bus, a, b, pending } = scene()
  bus.register('broken', { handler: () => Promise.reject(new Error('of the handler')) })
  const control = new AbortController()
  const open = {
    answered: watched(a.request('agent.b', 'q')),
    timedOut: watched(a.request('agent.b', 'q', { timeoutMs: 1_000 })),
    cancelled: watched(a.request('agent.b', 'q', { signal: control.signal })),
    failed: watched(a.request('agent.broken', 'q')),
    closed: watched(a.request('agent.b', 'q')),
  }
  expect(pending()).toBe(5)
  bus.respond(await b.receive(), 'answer')
  await env.settle()
  expect([pending(), open.answered.state, errorOf(open.failed).code]).toEqual([3, 'fulfilled', 'HANDLER_FAILED'])
  control.abort('not needed any more')
  await env.settle()
  expect([pending(), errorOf(open.cancelled).code]).toEqual([2, 'CANCELLED'])
  await env.advance(1_000 + LATE_MS)
  expect([pending(), errorOf(open.timedOut).code]).toEqual([1, 'REQUEST_TIMEOUT'])
  await bus.close({ limitMs: 0 })
  await env.settle()
  expect([pending(), errorOf(open.closed).code]).toEqual([0, 'BUS_CLOSED'])
  expect(env.timers).toBe(0)
})

test('[Z14] one deadline covers everything: waiting for room, waiting in the inbox, and the answer', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const b = bus.register('b', { limit: 1, waitMs: 60_000 })
  await bus.send('b', 'fills the inbox')
  const asked = watched(bus.request('agent.b', 'too late', { timeoutMs: 1_000 }))
  await env.advance(600)
  expect((await b.receive({ timeoutMs: 0 })).data).toBe('fills the inbox')
  await env.advance(399)
  expect(asked.state).toBe('pending')
  await env.advance(1 + LATE_MS)
  expect(errorOf(asked)).toMatchObject({ code: 'REQUEST_TIMEOUT', details: { timeoutMs: 1_000 } })
  expect((await faultOf(b.receive({ timeoutMs: 0 }))).code).toBe('RECEIVE_TIMEOUT')
})

test('[Z14] a request that was cancelled before it began reaches nobody', async () => {
  const { env, bus, b, pending } = scene()
  const waits = watched(b.receive())
  const asked = watched(bus.request('agent.b', 'q', { signal: AbortSignal.abort() }))
  await env.settle()
  expect([errorOf(asked).code, pending(), waits.state]).toEqual(['CANCELLED', 0, 'pending'])
})

test('[Z15] an answer has level high by default, and may state another', async () => {
  const { bus, a, b } = scene()
  const asked = [a.request('agent.b', 1), a.request('agent.b', 2, { priority: 'low' })].map(watched)
  expect(bus.respond(await b.receive(), 'x')).toBe(true)
  expect(bus.respond(await b.receive(), 'y', { priority: 'low' })).toBe(true)
  await expect.poll(() => asked.map((one) => one.value?.priority), PATIENT).toEqual(['high', 'low'])
})

test('[Z15] late and doubled answers are counted and reported, and never come into an inbox', async () => {
  const { env, bus, a, b, strays } = scene()
  const asked = [a.request('agent.b', 'late', { timeoutMs: 100 }), a.request('agent.b', 'doubled')].map(watched)
  const [late, doubled] = [await b.receive(), await b.receive()]
  await env.advance(100 + LATE_MS)
  expect([bus.respond(late, 'after the end'), bus.respond(doubled, 'first'), bus.respond(doubled, 'second')]).toEqual([
    false,
    true,
    false,
  ])
  await env.settle()
  expect(asked[1]?.value?.data).toBe('first')
  expect(errorOf(asked[0] as never).code).toBe('REQUEST_TIMEOUT')
  expect(strays.map((answer) => answer.data)).toEqual(['after the end', 'second'])
  expect(bus.stats().requests.strayAnswers).toBe(2)
  expect([bus.queueSize('a'), bus.queueSize('b')]).toEqual([0, 0])
})

test('[Z15] a handler’s answer after the deadline is counted and reported', async () => {
  const { env, bus, strays } = scene()
  const slow = async (): Promise<string> => {
    await new Promise<void>((resolve) => void env.after(1_000, resolve))
    return 'late'
  }
  bus.register('slow', { handler: slow })
  const asked = watched(bus.request('agent.slow', 'q', { timeoutMs: 100 }))
  await env.advance(1_100)
  expect(errorOf(asked).code).toBe('REQUEST_TIMEOUT')
  expect([strays.map((answer) => answer.data), bus.stats().requests.strayAnswers]).toEqual([['late'], 1])
})

test('[Z15] an answer to something that is no open request is counted and reported', async () => {
  const { bus, a, b, strays } = scene()
  await a.send('b', 'no request')
  expect(bus.respond(await b.receive(), 'unasked')).toBe(false)
  expect([strays.map((answer) => answer.data), bus.stats().requests.strayAnswers]).toEqual([['unasked'], 1])
  expect([bus.queueSize('a'), bus.queueSize('b')]).toEqual([0, 0])
})

test('[Z15] a late answer sent to the reply address never answers a later request', async () => {
  const { env, bus, a, b, strays } = scene()
  const first = watched(a.request('agent.b', 1, { timeoutMs: 100 }))
  const late = await b.receive()
  await env.advance(100 + LATE_MS)
  expect(errorOf(first).code).toBe('REQUEST_TIMEOUT')
  const second = watched(a.request('agent.b', 2))
  await b.receive()
  await bus.publish(late.replyTo ?? '', 'for the first')
  await env.settle()
  expect([second.state, strays.map((answer) => answer.data)]).toEqual(['pending', ['for the first']])
})

test('[Z16] any number of requests of one agent are answered in any order, and unrelated messages stay in its inbox', async () => {
  const { env, bus, a, b, pending } = scene()
  const asked = Array.from({ length: 500 }, (_, n) => watched(a.request('agent.b', n)))
  expect(pending()).toBe(500)
  const got: Message[] = []
  while (got.length < 500) got.push(await b.receive())
  const unrelated = numbered('m', 50)
  for (const [index, request] of got.reverse().entries()) {
    if (index % 10 === 0) await b.send('a', unrelated[index / 10])
    bus.respond(request, `answer ${request.data as number}`)
  }
  await env.settle()
  expect(asked.map((one) => one.value?.data)).toEqual(asked.map((_, n) => `answer ${n}`))
  expect([pending(), bus.queueSize('a')]).toEqual([0, 50])
  expect(await takeAll(a)).toEqual(unrelated)
})

test('[ZN2] after 10 000 answered requests no entry, no timer and no message is left', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  bus.register('b', { handler: ({ data }) => (data as number) + 1 })
  const asked = Array.from({ length: 5_000 }, (_, n) => bus.request('agent.b', n))
  const together = await Promise.all(asked)
  expect(together.map((answer) => answer.data)).toEqual(Array.from({ length: 5_000 }, (_, n) => n + 1))
  for (let n = 0; n < 5_000; n++) expect((await bus.request('agent.b', n)).data).toBe(n + 1)
  expect(bus.stats().requests).toEqual({ sent: 10_000, pending: 0, timeouts: 0, strayAnswers: 0 })
  expect(bus.stats()).toMatchObject({ queued: 0, ledger: { published: 10_000, handled: 10_000, pending: 0 } })
  await env.advance(1_000)
  expect(env.timers).toBe(0)
})

test('[ZN3] a message that arrives while its receiver awaits an answer is there afterwards', async () => {
  const { env, bus, a, b } = scene()
  const asked = watched(a.request('agent.b', 'q'))
  await b.send('a', 'X')
  await env.settle()
  expect(asked.state).toBe('pending')
  bus.respond(await b.receive(), 'answer')
  await env.settle()
  expect(asked.value?.data).toBe('answer')
  expect(await takeAll(a)).toEqual(['X'])

  const seen: unknown[] = []
  bus.register('c', {
    async handler({ data }, { bus: inner }) {
      seen.push(data)
      if (data === 'ask') seen.push((await inner.request('agent.b', 'q')).data)
    },
  })
  await bus.send('c', 'ask')
  const question = await b.receive()
  await bus.send('c', 'X')
  bus.respond(question, 'answer')
  await env.settle()
  expect(seen).toEqual(['ask', 'answer', 'X'])
})

test('[ZN4] A asks B and C, C answers first: neither request times out', async () => {
  const { env, bus, a, b } = scene()
  const c = bus.register('c')
  const asked = [watched(a.request('agent.b', 'to b')), watched(a.request('agent.c', 'to c'))]
  await env.advance(100)
  bus.respond(await c.receive(), 'from c')
  await env.advance(4_800)
  bus.respond(await b.receive(), 'from b')
  await env.advance(10_000)
  expect(asked.map((one) => one.value?.data)).toEqual(['from b', 'from c'])
  expect(bus.stats().requests).toMatchObject({ pending: 0, timeouts: 0, strayAnswers: 0 })
})

test('[ZN5] a request to an unknown agent fails at once and leaves no reader that eats the next message', async () => {
  const { env, bus, a, pending } = scene()
  const asked = watched(a.request('agent.ghost', 'q'))
  await env.settle()
  expect(errorOf(asked)).toMatchObject({ code: 'NO_RESPONDERS', family: 'agent' })
  expect(pending()).toBe(0)
  await env.advance(100)
  expect(env.timers).toBe(0)
  const ghost = bus.register('ghost')
  await bus.send('a', 'for a')
  await bus.send('ghost', 'for the ghost')
  await env.settle()
  expect([await takeAll(a), await takeAll(ghost)]).toEqual([['for a'], ['for the ghost']])
})
