import { expect, test } from 'vitest'
import type { Chunk } from '../../src/bus/publisher.ts'
import { swarmOf } from './support/components.ts'
import { faultIn, faultOf, gate, isSettled } from './support/woodwork.ts'

/** A deadline is kept at most so much late. */
const TICK_MS = 16

const double = { name: 'double', handle: ({ data }: { data: unknown }) => (data as number) * 2 }

test('[W28] a request gets its answer, or one of three errors; an unknown component fails at once', async () => {
  await using r = await swarmOf([
    { name: 'me' },
    double,
    {
      name: 'broken',
      handle() {
        throw new Error('no luck')
      },
    },
    { name: 'silent', handle: () => gate().opened },
  ])
  const me = r.swarm.component('me')
  expect(await me.request('double', 21)).toBe(42)
  const unknown = await faultOf(me.request('doubel', 1))
  expect([unknown.code, unknown.message]).toEqual([
    'UNKNOWN_AGENT',
    'there is no component "doubel"; did you mean "double"?',
  ])
  expect(r.env.monotonicMs()).toBe(0)
  const broken = await faultOf(me.request('broken', 1))
  expect(broken).toMatchObject({ code: 'HANDLER_FAILED', cause: { message: 'no luck' } })
  const late = me.request('silent', 1)
  await r.env.advance(4_999)
  expect(await isSettled(late, r.env)).toBe(false)
  await r.env.advance(1 + TICK_MS)
  expect((await faultOf(late)).code).toBe('REQUEST_TIMEOUT')
  expect(r.swarm.stats().components.me).toMatchObject({ requests: 4, requestFailures: 3 })
})

test('[W28] [WN14] the time limit ends the wait when it is over, and tells the handler', async () => {
  let reason: unknown
  await using r = await swarmOf([
    { name: 'me' },
    {
      name: 'slow',
      handle: (_message, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            reason = signal.reason
          })
          r.env.after(500, () => resolve('done'))
        }),
    },
  ])
  const asked = faultOf(r.swarm.component('me').request('slow', 1, { timeoutMs: 100 }))
  await r.env.advance(100 + TICK_MS)
  expect((await asked).code).toBe('REQUEST_TIMEOUT')
  expect(reason).toBeDefined()
})

test('[WN14] what answers a requester that has gone is counted, not lost silently', async () => {
  const open = gate()
  const stray: unknown[] = []
  await using r = await swarmOf(
    [
      { name: 'me' },
      {
        name: 'tool',
        async handle() {
          await open.opened
          return 'late'
        },
      },
    ],
    { busOptions: { onStrayAnswer: ({ data }) => stray.push(data) } },
  )
  const asked = faultOf(r.swarm.component('me').request('tool', 1, { timeoutMs: 50 }))
  await r.env.settle()
  expect(await r.swarm.remove('me')).toBe(true)
  await r.env.advance(50 + TICK_MS)
  expect((await asked).code).toBe('REQUEST_TIMEOUT')
  open.open()
  await r.env.settle()
  expect(stray).toEqual(['late'])
  expect(r.bus.stats().requests.strayAnswers).toBe(1)
})

test('[W29] several requests at once: results in the order of the list, the first error, an empty list', async () => {
  const order: unknown[] = []
  const gates = [gate(), gate(), gate()]
  await using r = await swarmOf([
    { name: 'me' },
    {
      name: 'tool',
      concurrency: 10,
      async handle({ data }) {
        await gates[data as number]?.opened
        order.push(data)
        if (data === 9) throw new Error('nine')
        return `r${String(data)}`
      },
    },
  ])
  const me = r.swarm.component('me')
  const all = me.requestMultiple([
    ['tool', 0],
    ['tool', 1],
    ['tool', 2],
  ])
  for (const index of [2, 0, 1]) {
    gates[index]?.open()
    await r.env.settle()
  }
  expect(await all).toEqual(['r0', 'r1', 'r2'])
  expect(order).toEqual([2, 0, 1])
  const failing = me.requestMultiple([
    ['tool', 5],
    ['tool', 9],
    ['nobody', 1],
  ])
  expect((await faultOf(failing)).code).toBe('UNKNOWN_AGENT')
  expect(await me.requestMultiple([])).toEqual([])
})

test('[W30] the builder and the scoped form ask the same way; without a target there is an error', async () => {
  const seen: unknown[] = []
  await using r = await swarmOf([
    { name: 'me' },
    { name: 'tool', handle: ({ data, session, from }) => seen.push([data, session, from]) && 'ok' },
    { name: 'silent', handle: () => gate().opened },
  ])
  const me = r.swarm.component('me')
  const half = me.message().withData({ a: 1 })
  expect(await half.to('tool').session('s').timeout(5).sendAndWait()).toBe('ok')
  expect(await half.to('tool').sendAndWait()).toBe('ok')
  expect(seen).toEqual([
    [{ a: 1 }, 's', 'me'],
    [{ a: 1 }, undefined, 'me'],
  ])
  expect((await faultOf(half.sendAndWait())).code).toBe('INVALID_MESSAGE')
  expect(faultIn(() => half.timeout(0)).code).toBe('INVALID_OPTION')
  const late = faultOf(me.message().to('silent').timeout(0.2).sendAndWait())
  await r.env.advance(200 + TICK_MS)
  expect((await late).code).toBe('REQUEST_TIMEOUT')

  const context = me.requestContext('tool', { timeoutMs: 5_000 })
  expect(await context.send('x')).toBe('ok')
  const scoped = me.requestContext('silent')
  const open = scoped.send(1)
  await r.env.settle()
  scoped[Symbol.dispose]()
  expect((await faultOf(open)).code).toBe('CANCELLED')
})

test('[W31] a streamed answer comes in chunks as they are made; an error is a final chunk that says so', async () => {
  const next = [gate(), gate()]
  await using r = await swarmOf([
    { name: 'me' },
    {
      name: 'llm',
      async *handle({ data }) {
        yield 'a'
        await next[0]?.opened
        yield 'b'
        if (data === 'fail') throw new Error('torn')
      },
    },
    { name: 'plain', handle: () => 'whole' },
  ])
  const me = r.swarm.component('me')
  const chunks: Chunk[] = []
  const reading = (async () => {
    for await (const chunk of me.requestStream('llm', 'go')) chunks.push(chunk)
  })()
  await r.env.settle()
  expect(chunks.map(({ data, index, final }) => [data, index, final])).toEqual([['a', 0, false]])
  next[0]?.open()
  await reading
  expect(chunks.map(({ data, index, final }) => [data, index, final])).toEqual([
    ['a', 0, false],
    ['b', 1, false],
    [undefined, 2, true],
  ])
  const failed: Chunk[] = []
  for await (const chunk of me.requestStream('llm', 'fail')) failed.push(chunk)
  expect(failed.at(-1)).toMatchObject({ final: true, metadata: { error: { code: 'HANDLER_FAILED' } } })
  const whole: Chunk[] = []
  for await (const chunk of me.requestStream('plain', 1)) whole.push(chunk)
  expect(whole.map(({ data, final }) => [data, final])).toEqual([['whole', true]])
  const missing: Chunk[] = []
  for await (const chunk of me.requestStream('plian', 1)) missing.push(chunk)
  expect(missing).toMatchObject([{ final: true, metadata: { error: { code: 'UNKNOWN_AGENT' } } }])
  expect(await me.request('llm', 'go')).toBe('ab')
})

test('[WN15] five requests to one tool in one millisecond each get their own answer, without a floor', async () => {
  await using r = await swarmOf([{ name: 'me' }, double])
  const me = r.swarm.component('me')
  const asked = [0, 1, 2, 3, 4].map((n) => me.request('double', n))
  expect(await Promise.all(asked)).toEqual([0, 2, 4, 6, 8])
  expect(r.env.monotonicMs()).toBe(0)
})

test('[W35] a slow handler never blocks its sender, and a component may have a time limit of its own', async () => {
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'slow' },
    { name: 'slow', handlerTimeoutMs: 50, handle: () => gate().opened },
  ])
  const result = await r.swarm.component('in').emit('input_received', 1)
  expect(result.delivered).toEqual(['slow'])
  expect(r.env.monotonicMs()).toBe(0)
  await r.env.advance(50 + TICK_MS)
  expect(r.bus.failures()).toMatchObject([{ name: 'slow', reason: 'handler-timeout' }])
})

test('a request made while a message is in hand belongs to its session and its chain', async () => {
  const seen: unknown[] = []
  await using r = await swarmOf([
    { name: 'agent', handle: async ({ data }) => r.swarm.component('agent').request('tool', data) },
    { name: 'tool', handle: ({ session, hops, from }) => seen.push([session, hops, from]) },
  ])
  await r.bus.send('agent', 1, { session: 's9' })
  await r.swarm.idle()
  expect(seen).toEqual([['s9', 1, 'agent']])
})
