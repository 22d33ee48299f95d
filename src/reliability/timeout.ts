import type { Context, Handler, Middleware } from '../bus/handler.ts'
import { checkOption, checkOptions, milliseconds } from '../kit/check.ts'
import { type Env, systemEnv, type Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { changedContext } from './context.ts'
import { isParts, isThenable, outcomeOf } from './outcome.ts'
import { abortReason, anEnv } from './pause.ts'

/** What a time limit needs besides its length. */
export interface TimeoutOptions {
  readonly env?: Env
}

/**
 * Fails a handling with HANDLER_TIMEOUT after `limitMs`, and aborts `context.signal` then: one attempt at a time when it stands inside
 * `retry`. A streamed answer has the limit as a whole. `context.extend(ms)` starts the limit anew. A handler that blocks the event
 * loop cannot be interrupted, by nobody.
 */
export function timeout(limitMs: number, options: TimeoutOptions = {}): Middleware {
  checkOption('timeout', 'limitMs', limitMs, milliseconds(1))
  checkOptions('timeout', options, { env: anEnv })
  const { env = systemEnv() } = options
  return (next: Handler): Handler =>
    (message, context) => {
      const limit = new Limit(env, limitMs, context)
      const inner = changedContext(context, {
        signal: () => limit.signal,
        remainingMs: () => Math.min(limit.leftMs, context.remainingMs),
        onExtend: (ms) => limit.extend(ms),
      })
      return outcomeOf(
        () => {
          const value = next(message, inner)
          return isParts(value) ? limitedParts(value, limit) : isThenable(value) ? limit.race(value) : value
        },
        (value) => {
          if (!(value instanceof Parts)) limit.end()
          return value
        },
        (error) => {
          limit.end()
          throw error
        },
      )
    }
}

class Limit {
  readonly #env: Env
  readonly #limitMs: number
  readonly #context: Context
  #dueMs: number
  #timer: Timer | undefined
  #controller: AbortController | undefined
  #stopFollowing: (() => void) | undefined
  #error: BusError | undefined
  #reject: ((error: BusError) => void) | undefined

  constructor(env: Env, limitMs: number, context: Context) {
    this.#env = env
    this.#limitMs = limitMs
    this.#context = context
    this.#dueMs = env.monotonicMs() + limitMs
  }

  get isOver(): boolean {
    return this.#error !== undefined
  }

  get leftMs(): number {
    return Math.max(0, this.#dueMs - this.#env.monotonicMs())
  }

  /** Aborted at the limit, and with the outer signal. */
  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal
    const controller = new AbortController()
    this.#controller = controller
    const outer = this.#context.signal
    const follow = (): void => controller.abort(abortReason(outer))
    if (outer.aborted) follow()
    else outer.addEventListener('abort', follow, { once: true })
    this.#stopFollowing = () => outer.removeEventListener('abort', follow)
    if (this.#error !== undefined) controller.abort(this.#error)
    return controller.signal
  }

  /** What the promise settles with, or HANDLER_TIMEOUT when the limit comes first. */
  race<T>(promise: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(resolve, reject)
      this.#reject = reject
      if (this.#error === undefined) this.#arm()
      else reject(this.#error)
    })
  }

  extend(ms: number = this.#limitMs): void {
    this.#dueMs = this.#env.monotonicMs() + ms
    if (this.#timer !== undefined) this.#arm()
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#stopFollowing?.()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = this.#env.after(this.leftMs, () => this.#onDue())
  }

  #onDue(): void {
    const { name } = this.#context
    const text = `handler "${name}" ran longer than ${Math.round(this.#limitMs)} ms`
    this.#error = new BusError('HANDLER_TIMEOUT', text, { details: { name, limitMs: this.#limitMs } })
    this.end()
    this.#controller?.abort(this.#error)
    this.#reject?.(this.#error)
  }
}

class Parts implements AsyncIterable<unknown> {
  readonly #iterator: AsyncIterator<unknown>

  constructor(iterator: AsyncIterator<unknown>) {
    this.#iterator = iterator
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.#iterator
  }
}

function limitedParts(parts: AsyncIterable<unknown>, limit: Limit): Parts {
  const inner = parts[Symbol.asyncIterator]()
  return new Parts({
    async next() {
      try {
        const step = await limit.race(inner.next())
        if (step.done === true) limit.end()
        return step
      } catch (error) {
        limit.end()
        // Told to clean up, not waited for: it may hang, that is why it is here.
        if (limit.isOver) void Promise.resolve(inner.return?.()).catch(() => undefined)
        throw error
      }
    },
    async return(value?: unknown) {
      limit.end()
      await inner.return?.(value)
      return { done: true, value }
    },
  })
}
