// What a handler does can end at once, later, or part by part; and whatever it returns may be poison. Here the three are told apart
// once, for every middleware.

/** True for what is streamed as an answer. Throws when the value does (a revoked Proxy). */
export function isParts(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function'
  )
}

/** True for promises, foreign ones too. Throws when the value does. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as Partial<PromiseLike<unknown>>).then === 'function'
  )
}

/**
 * Runs `call` and returns what `done` or `failed` make of its outcome: in the same turn when the outcome is there at once, so that
 * a generator can still be answered as a stream; else a promise.
 */
export function outcomeOf(
  call: () => unknown,
  done: (value: unknown) => unknown,
  failed: (error: unknown) => unknown,
): unknown {
  let value: unknown
  try {
    value = call()
    // A foreign thenable may call back twice; a native promise never does.
    if (isThenable(value)) value = Promise.resolve(value)
  } catch (error) {
    return failed(error)
  }
  return value instanceof Promise ? value.then(done, failed) : done(value)
}

/** Throws; for places where an expression is wanted. */
export function raise(error: unknown): never {
  throw error
}
