import { expect, test } from 'vitest'
import type { BusStats, Failure, Handler, Message, Middleware } from '../src/index.ts'
import { faultOf, imbalance, isSettled, type Rig, range, rig } from './origins/support/woodwork.ts'
import { deep, POISONS, type Poison, revoked } from './origins/support/woodwork-poison.ts'

const LIMIT_MS = 100

/** Publishes a message for the poison and one after it, to it and to its neighbours; all of the others must be handled. */
async function survives(r: Rig, poison: Poison, options: object): Promise<{ stats: BusStats; seen: string[] }> {
  const { bus, env } = r
  const seen: string[] = []
  const good =
    (name: string): Handler =>
    ({ data }) =>
      void seen.push(`${name} ${String(data)}`)
  bus.subscribe('t', good('before'))
  bus.subscribe(
    't',
    (message, context) => {
      if (message.data === 1) return poison.handler(message, context)
      return good('same')(message, context)
    },
    { name: 'poison', handlerTimeoutMs: LIMIT_MS, ...options },
  )
  bus.subscribe('t', good('after'))
  bus.subscribe('other', good('other'))
  for (const n of [1, 2]) {
    await bus.publish('t', n, { session: 's', priority: 'normal' })
    await bus.publish('other', n)
  }
  await env.settle()
  // A lower rank is waited for: that is what ranks are for.
  const others =
    'rank' in options ? ['other 1', 'other 2'] : ['before 1', 'before 2', 'after 1', 'after 2', 'other 1', 'other 2']
  expect(seen, 'nobody else waits').toEqual(expect.arrayContaining(others))
  if (poison.hangs === true) await env.advance(LIMIT_MS + 20)
  await env.settle()
  return { stats: bus.stats(), seen }
}

test.each(Object.entries(POISONS))('a handler that %s costs only its own delivery', async (_, poison) => {
  const outcome = poison.outcome ?? 'handled'
  for (const options of [{}, { concurrency: 1 }, { concurrency: 3 }, { group: 'g' }, { rank: 10 }]) {
    const told: Failure[] = []
    await using r = rig({ onFailure: (failure) => void told.push(failure) })
    const { stats, seen } = await survives(r, poison, options)
    const shown = JSON.stringify(options)
    expect(
      seen.filter((one) => one === 'same 2'),
      shown,
    ).toHaveLength(1)
    expect(seen, shown).toHaveLength(7)
    expect(stats.ledger, shown).toMatchObject({
      published: 8,
      pending: 0,
      handled: outcome === 'handled' ? 8 : 7,
      failed: outcome === 'handled' ? 0 : 1,
    })
    expect(told, shown).toHaveLength(outcome === 'handled' ? 0 : 1)
    expect(stats, shown).toMatchObject({
      callbackFaults: 0,
      handlerTimeouts: poison.hangs === true ? 1 : 0,
      concurrency: { active: 0 },
    })
    expect(stats.concurrency.acquired, shown).toBe(stats.concurrency.released)
    await r.env.advance(1_000)
    expect(r.bus.stats().ledger, `${shown}, later`).toEqual(stats.ledger)
  }
})

test.each(Object.entries(POISONS))(
  'a request to a handler that %s ends, and so do the next ones',
  async (_, poison) => {
    await using r = rig()
    const { bus, env } = r
    bus.register('tool', {
      handler: (message, context) => (message.data === 1 ? poison.handler(message, context) : 'fine'),
      handlerTimeoutMs: LIMIT_MS,
    })
    const first = bus.request('agent.tool', 1, { timeoutMs: 1_000, session: 's' }).then(
      ({ data }) => ({ data }),
      (error: { code?: string }) => ({ code: error.code }),
    )
    const second = bus.request('agent.tool', 2, { timeoutMs: 1_000, session: 's' })
    await env.advance(LIMIT_MS + 20)
    expect(await isSettled(first, env), 'the request to it settles').toBe(true)
    expect(await first).toEqual(poison.answer)
    expect(await isSettled(second, env), 'the request after it settles').toBe(true)
    expect((await second).data).toBe('fine')
    expect(bus.stats()).toMatchObject({ requests: { pending: 0 }, ledger: { published: 2, pending: 0 } })
  },
)

test('a middleware that returns no handler, or throws, is refused and changes nothing', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: string[] = []
  const subscribe = (name: string) => bus.subscribe('t', () => void seen.push(name), { name })
  subscribe('a')
  bus.register('agent', { handler: () => void seen.push('agent') })
  const traced: string[] = []
  let calls = 0
  const late: Middleware = (next) => {
    if (++calls === 2) return undefined as never
    return (message, context) => {
      traced.push('wrapped')
      return next(message, context)
    }
  }
  const throwing: Middleware = () => {
    throw new Error('no')
  }
  for (const wrong of [() => undefined as never, () => 'text' as never, late]) {
    expect(() => bus.use(wrong)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  }
  expect(() => bus.use(throwing)).toThrow()
  await bus.publish('t', 1)
  await bus.send('agent', 1)
  await env.settle()
  expect(seen).toEqual(['a', 'agent'])
  expect(traced, 'a refused middleware wraps nothing').toEqual([])
})

test('a middleware that fails for one subscription or agent leaves nothing half made', async () => {
  await using r = rig()
  const { bus, env } = r
  let wrong = false
  const remove = bus.use((next) => (wrong ? (undefined as never) : next))
  wrong = true
  for (const run of [
    () => bus.subscribe('t', () => undefined),
    () => bus.subscribe('t', () => undefined, { group: 'g' }),
    () => bus.register('agent', { handler: () => undefined }),
  ]) {
    expect(run).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  }
  expect(() => bus.subscribe('t', () => undefined, { middleware: [() => undefined as never] })).toThrow()
  expect(bus.stats()).toMatchObject({ subscriptions: 0, agents: 0 })
  expect([bus.agents(), bus.subscribers('t'), bus.snapshot().queues]).toEqual([[], [], []])
  wrong = false
  const seen: unknown[] = []
  bus.register('agent', { handler: ({ data }) => void seen.push(data) })
  await bus.send('agent', 'fine')
  await env.settle()
  expect(seen).toEqual(['fine'])
  remove()
})

test('a middleware whose handler throws or forgets `next` costs only that delivery', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: unknown[] = []
  bus.subscribe('t', ({ data }) => void seen.push(data), {
    middleware: [
      (next) => (message, context) => {
        if (message.data === 1) throw new Error('in the middleware')
        if (message.data === 2) return undefined
        return next(message, context)
      },
    ],
  })
  for (const n of range(4)) await bus.publish('t', n)
  await env.settle()
  expect(seen).toEqual([0, 3])
  expect(bus.stats().ledger).toMatchObject({ published: 4, handled: 3, failed: 1 })
})

test('onFailure, onStrayAnswer and onStall that throw are counted and cost nothing else', async () => {
  const poison = (): never => {
    throw revoked()
  }
  await using r = rig({ onFailure: poison, onStrayAnswer: poison })
  const { bus, env } = r
  const stop = bus.watch({ onStall: poison, limitMs: 10, checkMs: 10 })
  bus.subscribe('bad', () => Promise.reject(new Error('no')))
  bus.subscribe('slow', () => new Promise((resolve) => void env.after(100, () => resolve('late'))))
  for (const n of range(3)) await bus.publish('bad', n)
  const late = faultOf(bus.request('slow', 1, { timeoutMs: 20 }))
  await env.advance(300)
  expect((await late).code).toBe('REQUEST_TIMEOUT')
  expect(bus.stats().ledger).toMatchObject({ published: 4, failed: 3, handled: 1, pending: 0 })
  expect(bus.stats().callbackFaults).toBe(5)
  expect(bus.failures()).toHaveLength(3)
  stop()
})

test('a filter that throws costs its own subscription this message and is recorded', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: string[] = []
  bus.subscribe('t', ({ data }) => void seen.push(`picky ${String(data)}`), {
    name: 'picky',
    filter: ({ data }) => {
      if (data === 1) throw new Error('in the filter')
      return true
    },
  })
  bus.subscribe('t', ({ data }) => void seen.push(`other ${String(data)}`))
  for (const n of [1, 2]) await bus.publish('t', n)
  await env.settle()
  expect(seen.sort()).toEqual(['other 1', 'other 2', 'picky 2'])
  expect(bus.failures()).toMatchObject([{ name: 'picky', message: { data: 1 } }])
  expect(imbalance(bus.stats().ledger)).toBe(0)
})

test('callbacks of streams and of requestMany that throw cost only themselves', async () => {
  await using r = rig()
  const { bus, env } = r
  const poison = (): never => {
    throw new Error('in the callback')
  }
  const quiet = bus.streams.open({ stallMs: 20, onCancel: poison })
  const cancelled = bus.streams.open({ onCancel: poison })
  bus.streams.cancel(cancelled.id)
  await env.advance(60)
  expect([quiet.info().status, cancelled.info().status]).toEqual(['failed', 'cancelled'])
  bus.subscribe('many', (_, context) => void context.reply(1))
  expect((await faultOf(bus.requestMany('many', 1, { sentinel: poison }).next())).code).toBe('HANDLER_FAILED')
  // The wheel of time limits still turns.
  bus.subscribe('hang', () => new Promise(() => undefined), { handlerTimeoutMs: 30 })
  await bus.publish('hang', 1)
  await env.advance(80)
  expect(bus.failures()).toMatchObject([{ reason: 'handler-timeout' }])
  expect(bus.stats().requests.pending).toBe(0)
})

test('data that cannot be sent is refused before anybody gets it', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: Message[] = []
  bus.subscribe('t', (message) => void seen.push(message))
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const codes: string[] = []
  const wrong = [
    deep(10_000),
    circle,
    revoked(),
    [revoked()],
    { run: new Map([[1, () => undefined]]) },
    'x'.repeat(2_000_000),
  ]
  for (const data of wrong) codes.push((await faultOf(bus.publish('t', data))).code)
  expect(codes).toEqual([
    'PAYLOAD_TOO_LARGE',
    'PAYLOAD_TOO_LARGE',
    'INVALID_PAYLOAD',
    'INVALID_PAYLOAD',
    'INVALID_PAYLOAD',
    'PAYLOAD_TOO_LARGE',
  ])
  await bus.publish('t', 'fine')
  await env.settle()
  expect(seen.map(({ data }) => data)).toEqual(['fine'])
  expect(bus.stats().ledger).toMatchObject({ published: 1, handled: 1 })
})
