import { expect, test } from 'vitest'
import type { Failure } from '../bus/ack.ts'
import { createBus } from '../bus/bus.ts'
import type { Handler } from '../bus/handler.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { type IdempotentOptions, idempotent } from './dedup.ts'
import { type IdempotencyStore, memoryIdempotency } from './idempotency-store.ts'
import { codeOf, collect, endOf, FAILING, partsOf, testContext, testMessage } from './rig.test-d.ts'

const byData = (message: Message): string => String(message.data)

/** A handler that counts its effects. */
function counter(): { handler: Handler; effects: number } {
  const made = {
    effects: 0,
    handler: () => {
      made.effects++
      return `effect ${made.effects}`
    },
  }
  return made
}

test('[WN2] [W8] the same message twice has its effect once', async () => {
  const env = fakeEnv()
  const one = counter()
  const wrapped = idempotent({ env })(one.handler)
  const message = testMessage(env)
  expect(wrapped(message, testContext())).toBe('effect 1')
  expect(wrapped(message, testContext())).toBeUndefined()
  expect(wrapped(testMessage(env), testContext())).toBe('effect 2')
  expect(one.effects).toBe(2)
})

test('[I5] a key is remembered only after its handler succeeded: a failure lets the next one try', async () => {
  const env = fakeEnv()
  const steps: string[] = []
  const inner = memoryIdempotency({ env })
  const store: IdempotencyStore = {
    seen: inner.seen,
    remember(key) {
      steps.push('remembered')
      return inner.remember(key)
    },
  }
  let fails = 1
  const wrapped = idempotent({ store, scope: 's', env })(async () => {
    await Promise.resolve()
    steps.push('handled')
    if (fails-- > 0) throw new Error('x')
    return 'ok'
  })
  const message = testMessage(env)
  expect(await codeOf(() => wrapped(message, testContext()))).toBe('Error: x')
  expect(await wrapped(message, testContext())).toBe('ok')
  expect(await wrapped(message, testContext())).toBeUndefined()
  expect(steps).toEqual(['handled', 'handled', 'remembered'])
})

test('[I5] the bus is told of the success only after the key is remembered', async () => {
  const env = fakeEnv()
  let remembered = (): void => undefined
  const store: IdempotencyStore = {
    seen: () => false,
    remember: () => new Promise<void>((resolve) => (remembered = resolve)),
  }
  const order: string[] = []
  const wrapped = idempotent({ store, scope: 's', env })(() => 'ok')
  const end = Promise.resolve(wrapped(testMessage(env), testContext())).then(() => order.push('acknowledged'))
  await env.settle()
  order.push('remembered')
  remembered()
  await end
  expect(order).toEqual(['remembered', 'acknowledged'])
})

test('repeats that come while the first is handled get its result', async () => {
  const env = fakeEnv()
  let finish = (_: string): void => undefined
  let calls = 0
  const wrapped = idempotent({ env })(() => {
    calls++
    return new Promise<string>((resolve) => (finish = resolve))
  })
  const message = testMessage(env)
  const ends = [1, 2, 3].map(() => wrapped(message, testContext()))
  await env.settle()
  finish('answer')
  expect(await Promise.all(ends)).toEqual(['answer', 'answer', 'answer'])
  expect(calls).toBe(1)
})

test('when the first fails, the repeats try one after another until one succeeds', async () => {
  const env = fakeEnv()
  let running = 0
  let calls = 0
  const wrapped = idempotent({ env })(async () => {
    expect(++running).toBe(1)
    await env.settle()
    running--
    if (++calls < 3) throw new Error(`x${calls}`)
    return 'ok'
  })
  const message = testMessage(env)
  const ends = await Promise.all([1, 2, 3, 4, 5].map(() => endOf(() => wrapped(message, testContext()))))
  expect(ends.map((end) => ('value' in end ? end.value : String(end.error)))).toEqual([
    'Error: x1',
    'Error: x2',
    'ok',
    'ok',
    'ok',
  ])
  expect(calls).toBe(3)
})

test('a repeat that waits ends with its own signal, and the first goes on', async () => {
  const env = fakeEnv()
  let finish = (_: string): void => undefined
  const wrapped = idempotent({ env })(() => new Promise<string>((resolve) => (finish = resolve)))
  const message = testMessage(env)
  const first = wrapped(message, testContext())
  const context = testContext()
  const repeat = codeOf(() => wrapped(message, context))
  await env.settle()
  context.controller.abort(new BusError('CANCELLED', 'x'))
  expect(await repeat).toBe('CANCELLED')
  finish('ok')
  expect(await first).toBe('ok')
})

test('[I17] a first one that never resolves frees its key when its delivery is aborted', async () => {
  const env = fakeEnv()
  let calls = 0
  const wrapped = idempotent({ env })(() => (++calls === 1 ? new Promise(() => undefined) : 'ok'))
  const message = testMessage(env)
  const context = testContext()
  void wrapped(message, context)
  const repeat = wrapped(message, testContext())
  context.controller.abort(new BusError('HANDLER_TIMEOUT', 'x'))
  expect(await repeat).toBe('ok')
})

test.each(Object.entries(FAILING))('a handler that %s is not remembered and frees its key', async (_, handler) => {
  const env = fakeEnv()
  let calls = 0
  const wrapped = idempotent({ env })((message, context) => {
    calls++
    return handler(message, context)
  })
  const message = testMessage(env)
  for (let n = 0; n < 2; n++) expect(await endOf(() => wrapped(message, testContext()))).toHaveProperty('error')
  expect(calls).toBe(2)
})

test('what was given back, or reports success = false, is not remembered', async () => {
  const env = fakeEnv()
  const message = testMessage(env)
  for (const handler of [((_, context) => context.nack()) as Handler, () => ({ success: false })]) {
    let calls = 0
    const wrapped = idempotent({ env })((given, context) => {
      calls++
      return handler(given, context)
    })
    await wrapped(message, testContext())
    await wrapped(message, testContext())
    expect(calls).toBe(2)
  }
})

test('with keepResults a repeat is answered with the first result, as long as that is kept', async () => {
  const env = fakeEnv()
  const one = counter()
  const wrapped = idempotent({ keepResults: true, windowMs: 1_000, env })(one.handler)
  const message = testMessage(env)
  await wrapped(message, testContext())
  await env.advance(999)
  expect(await wrapped(message, testContext())).toBe('effect 1')
  await env.advance(2_000)
  expect(await wrapped(message, testContext())).toBe('effect 2')
})

test("a key of the user's own makes different messages the same", async () => {
  const env = fakeEnv()
  const one = counter()
  const wrapped = idempotent({ key: byData, env })(one.handler)
  for (const data of ['a', 'b', 'a']) wrapped(testMessage(env, data), testContext())
  expect(one.effects).toBe(2)
})

test('a key that is missing is refused, so that no effect is lost to it', async () => {
  const env = fakeEnv()
  const one = counter()
  for (const key of [() => undefined, () => '', () => 7]) {
    const wrapped = idempotent({ key: key as unknown as (message: Message) => string, env })(one.handler)
    expect(await codeOf(() => wrapped(testMessage(env), testContext()))).toBe('INVALID_OPTION')
  }
  expect(one.effects).toBe(0)
})

test('handlers are kept apart: one middleware around two of them lets each have its effect', async () => {
  const env = fakeEnv()
  const [a, b] = [counter(), counter()]
  await using bus = createBus({ env })
  bus.use(idempotent({ key: byData, env }))
  bus.subscribe('t', a.handler)
  bus.subscribe('t', b.handler)
  for (const data of ['x', 'x']) await bus.publish('t', data)
  await env.settle()
  expect([a.effects, b.effects]).toEqual([1, 1])
})

test('members of a group that share a scope have the effect once between them', async () => {
  const env = fakeEnv()
  const one = counter()
  await using bus = createBus({ env })
  const middleware = [idempotent({ key: byData, scope: 'billing', env })]
  for (let n = 0; n < 3; n++) bus.subscribe('t', one.handler, { group: 'g', concurrency: 1, middleware })
  for (let n = 0; n < 9; n++) await bus.publish('t', 'same')
  await env.settle()
  expect(one.effects).toBe(1)
})

test('scopes of one store are kept apart', async () => {
  const env = fakeEnv()
  const store = memoryIdempotency({ env })
  const [a, b] = [counter(), counter()]
  const message = testMessage(env)
  for (const [scope, { handler }] of [
    ['a', a],
    ['b', b],
    ['a', a],
  ] as const) {
    idempotent({ store, scope, env })(handler)(message, testContext())
  }
  expect([a.effects, b.effects]).toEqual([1, 1])
})

test('a store that cannot be asked fails the handling before the effect; one that cannot remember does not repeat it', async () => {
  const env = fakeEnv()
  const told: string[] = []
  const onStoreError = (error: unknown, key: string): void => {
    told.push(`${String(error)} ${key.endsWith('data')}`)
    throw new Error('listener')
  }
  const one = counter()
  for (const broken of [
    () => Promise.reject<never>(new Error('down')),
    (): never => {
      throw new Error('down')
    },
  ]) {
    const asked = idempotent({
      store: { seen: broken, remember: () => undefined },
      scope: 's',
      key: byData,
      onStoreError,
      env,
    })
    expect(await codeOf(() => asked(one.handler)(testMessage(env, 'data'), testContext()))).toBe('Error: down')
    expect(await codeOf(() => asked(one.handler)(testMessage(env, 'data'), testContext()))).toBe('Error: down')
    expect(one.effects).toBe(0)
  }
  const told1 = idempotent({
    store: { seen: () => false, remember: () => Promise.reject(new Error('full')) },
    scope: 's',
    key: byData,
    onStoreError,
    env,
  })
  expect(await told1(one.handler)(testMessage(env, 'data'), testContext())).toBe('effect 1')
  expect(told).toEqual([...Array.from({ length: 4 }, () => 'Error: down true'), 'Error: full true'])
})

test('a stream is remembered when its last part is out, not when it fails or nobody reads on', async () => {
  const env = fakeEnv()
  const once = idempotent({ key: byData, scope: 's', env })
  const run = (data: string, handler: Handler): unknown => once(handler)(testMessage(env, data), testContext())
  expect(await collect(run('good', () => partsOf([1, 2])))).toEqual([1, 2])
  expect(run('good', () => partsOf([3]))).toBeUndefined()
  await expect(collect(run('cut', () => partsOf([1], new Error('cut'))))).rejects.toThrow('cut')
  expect(await collect(run('cut', () => partsOf([4])))).toEqual([4])
  for await (const _ of run('left', () => partsOf([1, 2])) as AsyncIterable<unknown>) break
  expect(await collect(run('left', () => partsOf([5])))).toEqual([5])
})

test('on a bus, repeats wait without failing anything', async () => {
  const env = fakeEnv()
  const failures: Failure[] = []
  const bus = createBus({ env, onFailure: (failure) => void failures.push(failure) })
  let effects = 0
  const slow = async (): Promise<void> => {
    effects++
    await new Promise<void>((resolve) => env.after(50, resolve))
  }
  bus.subscribe('t', slow, { concurrency: 5, middleware: [idempotent({ key: byData, env })] })
  for (let n = 0; n < 5; n++) await bus.publish('t', 'same', { session: `s${n}` })
  await env.advance(1_000)
  expect([effects, failures, bus.stats().ledger.handled]).toEqual([1, [], 5])
  await bus.close()
})

const wrong: readonly [field: string, options: object][] = [
  ['key', { key: 'id' }],
  ['scope', { scope: '' }],
  ['scope', { store: memoryIdempotency() }],
  ['store', { store: {} }],
  ['keepResults', { keepResults: 1 }],
  ['windowMs', { windowMs: 0 }],
  ['limit', { limit: 0 }],
  ['ttl', { ttl: 5 }],
]

test.each(wrong)('a wrong "%s" is refused by name', (field, options) => {
  const end = ((): unknown => {
    try {
      return idempotent(options as IdempotentOptions)
    } catch (error) {
      return error
    }
  })()
  expect(isBusError(end, 'INVALID_OPTION') && end.details.field).toBe(field)
})
