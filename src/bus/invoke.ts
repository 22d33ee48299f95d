import type { Delivery } from './delivery.ts'

// Hot path. The one place where handlers are called: whatever they do costs only their own delivery.

/**
 * Calls the handler of a delivery. Never throws; the delivery's owner is told how it ended, now or later. A handler that returned at
 * once with nothing to say is the common case: then nobody is told anything, and the answer is true.
 */
export function invoke(delivery: Delivery): boolean {
  let result: unknown
  try {
    result = delivery.member.handler(delivery.message, delivery)
    if (result === undefined && delivery.run === undefined) return true
    // Looking at a result can throw too: a revoked Proxy, a `then` that is a trap.
    if ((typeof result === 'object' && result !== null) || typeof result === 'function') {
      if (result instanceof Promise) {
        awaitResult(delivery, result)
        return false
      }
      if (typeof (result as PromiseLike<unknown>).then === 'function') {
        // A foreign thenable may call back twice; a native promise never does, and a run serves the next delivery afterwards.
        awaitResult(delivery, Promise.resolve(result))
        return false
      }
      if (typeof (result as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function') {
        delivery.owner.count(delivery)
        awaitResult(delivery, delivery.host.stream(delivery, result as AsyncIterable<unknown>))
        return false
      }
    }
  } catch (error) {
    delivery.end('failed', undefined, 'handler-error', error)
    return false
  }
  delivery.end('handled', result, undefined, undefined)
  return false
}

function awaitResult(delivery: Delivery, result: Promise<unknown>): void {
  const run = delivery.run ?? delivery.owner.count(delivery)
  run.begin(delivery)
  result.then(run.onDone, run.onFail)
}
