import type { Context, Handler, HandlerResult } from '../bus/handler.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'
import { changedContext } from './context.ts'
import { isParts, outcomeOf, raise } from './outcome.ts'
import { abortReason } from './pause.ts'

/** How a handling ended. `left`: it streamed, and nobody wanted the rest. */
export type Ended =
  | { readonly type: 'done'; readonly value: unknown }
  | { readonly type: 'failed'; readonly error: unknown }
  | { readonly type: 'left' }

/**
 * Calls a handler and tells exactly once how the handling ended; result, error and parts pass through unchanged, after the promise
 * that `ended` may return. A handling that is aborted, or given back with `nack`, ends then: a handler that never resolves must
 * not hold what it was given.
 */
export function watch(
  next: Handler,
  message: Message,
  context: Context,
  ended: (how: Ended) => void | Promise<void>,
): HandlerResult {
  let isOpen = true
  let stop = (): void => undefined
  const end = (how: Ended): void | Promise<void> => {
    if (!isOpen) return
    isOpen = false
    stop()
    return ended(how)
  }
  const then = (how: Ended, pass: () => unknown): unknown => {
    const told = end(how)
    return told === undefined ? pass() : told.then(pass)
  }
  const onNack = (): void => {
    void end({ type: 'failed', error: new BusError('HANDLER_FAILED', 'the handler gave its message back') })
  }
  const failed = (error: unknown): unknown => then({ type: 'failed', error }, () => raise(error))

  const result = outcomeOf(
    () => {
      const value = next(message, changedContext(context, { onNack }))
      // Asked here, where a value that throws when it is looked at counts as the handler's failure.
      return isParts(value) ? watchedParts(value, then) : value
    },
    (value) => (value instanceof Watched ? value : then({ type: 'done', value }, () => value)),
    failed,
  )
  if (isOpen && (result instanceof Promise || result instanceof Watched)) stop = onAbort(context.signal, end)
  return result
}

function onAbort(signal: AbortSignal, end: (how: Ended) => void | Promise<void>): () => void {
  const run = (): void => void end({ type: 'failed', error: abortReason(signal) })
  if (signal.aborted) run()
  else signal.addEventListener('abort', run, { once: true })
  return () => signal.removeEventListener('abort', run)
}

class Watched implements AsyncIterable<unknown> {
  readonly #start: () => AsyncIterator<unknown>

  constructor(start: () => AsyncIterator<unknown>) {
    this.#start = start
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.#start()
  }
}

function watchedParts(parts: AsyncIterable<unknown>, then: (how: Ended, pass: () => unknown) => unknown): Watched {
  return new Watched(() => {
    const inner = parts[Symbol.asyncIterator]()
    return {
      async next() {
        let step: IteratorResult<unknown>
        try {
          step = await inner.next()
        } catch (error) {
          await then({ type: 'failed', error }, () => undefined)
          throw error
        }
        if (step.done === true) await then({ type: 'done', value: step.value }, () => undefined)
        return step
      },
      async return(value?: unknown) {
        // Told first: a generator that hangs must not hold what it was given.
        await then({ type: 'left' }, () => undefined)
        await inner.return?.(value)
        return { done: true, value }
      },
    }
  })
}
