import type { Handler } from '../../../src/index.ts'

/** A Proxy that throws whatever is done with it. */
export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Data of so many levels. */
export function deep(levels: number): unknown {
  let data: unknown = 'bottom'
  for (let level = 0; level < levels; level++) data = { inner: data }
  return data
}

function thenable(then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void): object {
  return { then }
}

function explode(): never {
  throw new Error('while it was ended')
}

/** A promise that is none: of the right class, with a `then` of its own. */
class Twice extends Promise<unknown> {
  // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
  override then<A = unknown, B = never>(
    onDone?: ((value: unknown) => A | PromiseLike<A>) | null,
    onFail?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    void onDone?.('first')
    setImmediate(() => {
      void onDone?.('second')
      void onFail?.(new Error('third'))
    })
    return super.then(onDone, onFail)
  }
}

/** A handler that misbehaves. */
export interface Poison {
  readonly handler: Handler
  /** How the delivery ends; `handled` unless said. */
  readonly outcome?: 'handled' | 'failed'
  /** How a request for it ends; the code of its error, or what it answers. */
  readonly answer?: { readonly code: string } | { readonly data: unknown }
  readonly hangs?: boolean
}

const hangs = { outcome: 'failed', answer: { code: 'HANDLER_TIMEOUT' }, hangs: true } as const
const failed = { outcome: 'failed', answer: { code: 'HANDLER_FAILED' } } as const
const thrower =
  (thrown: unknown): Handler =>
  () => {
    throw thrown
  }

/** Handlers that misbehave, by what they do. */
export const POISONS: Readonly<Record<string, Poison>> = {
  'throws synchronously': { handler: thrower(new Error('sync')), ...failed },
  'throws undefined': { handler: thrower(undefined), ...failed },
  'throws a revoked Proxy': { handler: thrower(revoked()), ...failed },
  'throws an object whose getters throw': {
    handler: thrower({
      get message() {
        throw new Error('in a getter')
      },
      get code() {
        throw new Error('in a getter')
      },
    }),
    ...failed,
  },
  'throws a frozen circular object': {
    handler: () => {
      const circle: Record<string, unknown> = {}
      circle.self = circle
      throw Object.freeze(circle)
    },
    ...failed,
  },
  'rejects with undefined': { handler: () => Promise.reject(undefined), ...failed },
  'rejects with a revoked Proxy': { handler: () => Promise.reject(revoked()), ...failed },
  'returns a revoked Proxy': { handler: () => revoked(), ...failed },
  'resolves with a revoked Proxy': { handler: async () => [revoked()], answer: { code: 'HANDLER_FAILED' } },
  'returns an object whose `then` is a throwing getter': {
    handler: () => Object.defineProperty({}, 'then', { get: thrower(new Error('get then')) as () => never }),
    ...failed,
  },
  'returns a thenable that throws in `then`': {
    handler: () => thenable(thrower(new Error('then')) as () => never),
    ...failed,
  },
  'returns a thenable that resolves, then throws': {
    handler: () =>
      thenable((resolve) => {
        resolve('early')
        throw new Error('late')
      }),
    answer: { data: 'early' },
  },
  'returns a thenable that calls back twice': {
    handler: () =>
      thenable((resolve, reject) => {
        resolve('one')
        resolve('two')
        reject(new Error('three'))
        setImmediate(() => resolve('four'))
      }),
    answer: { data: 'one' },
  },
  'returns a promise of its own kind that calls back twice': {
    handler: () => Twice.resolve(1),
    answer: { data: 'first' },
  },
  'never resolves': { handler: () => new Promise(() => undefined), ...hangs },
  'never resolves, as a thenable': { handler: () => thenable(() => undefined), ...hangs },
  'returns 10,000-deep data': { handler: () => deep(10_000), answer: { code: 'HANDLER_FAILED' } },
  'throws 10,000-deep data': { handler: thrower(deep(10_000)), ...failed },
  'returns data with a throwing getter': {
    handler: () => ({
      get value() {
        throw new Error('in a getter')
      },
    }),
    answer: { code: 'HANDLER_FAILED' },
  },
  'returns an iterable that throws when iterated': {
    handler: () => ({ [Symbol.asyncIterator]: thrower(new Error('iterate')) }),
    ...failed,
  },
  'returns an iterable whose next is no promise': {
    handler: () => ({ [Symbol.asyncIterator]: () => ({ next: () => undefined }) }),
    ...failed,
  },
  'returns a generator that throws when it is ended': {
    handler: async function* () {
      try {
        yield 1
        await new Promise(() => undefined)
      } finally {
        explode()
      }
    },
    ...hangs,
  },
  'changes its message': {
    handler: (message) => {
      for (const field of Object.keys(message)) Reflect.set(message, field, 'changed')
      for (const field of ['session', 'priority', 'topic', 'replyTo', 'expiresAt', 'data']) {
        Reflect.deleteProperty(message, field)
        Reflect.set(message, field, 'changed')
      }
      Reflect.setPrototypeOf(message, null)
      return 'done'
    },
    answer: { data: 'done' },
  },
}
