import type { Handler, Middleware } from '../bus/handler.ts'
import { aFlag, aFunction, aText, checkOption, checkOptions, type Rule } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import type { Message } from '../message/message.ts'
import {
  type IdempotencyStore,
  type IdempotencyStoreOptions,
  memoryIdempotency,
  STORE_RULES,
} from './idempotency-store.ts'
import { outcomeOf } from './outcome.ts'
import { abortReason } from './pause.ts'
import { TwoGenerations } from './two-generations.ts'
import { isFailedResult } from './verdict.ts'
import { type Ended, watch } from './watch.ts'

/** How repeats of a message are recognised. */
export interface IdempotentOptions extends IdempotencyStoreOptions {
  /** What makes two messages the same. Default: the message's id. */
  readonly key?: (message: Message) => string
  /**
   * Handlers of one scope share their keys: give members of a group one scope, and different handlers different ones. Required with
   * `store`. Default: every handler that is wrapped has its own keys.
   */
  readonly scope?: string
  /** Where keys are remembered. Default: in memory, within `windowMs` and `limit`. */
  readonly store?: IdempotencyStore
  /** Answer a repeat with the first result, while it is in memory. Default false: a repeat is answered with nothing. */
  readonly keepResults?: boolean
  /** Told when the store failed. A key that cannot be asked for fails the handling; one that cannot be remembered does not. */
  readonly onStoreError?: (error: unknown, key: string) => void
}

const aStore: Rule = {
  allowed: 'an object with the functions seen and remember',
  ok: (value) =>
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<IdempotencyStore>).seen === 'function' &&
    typeof (value as Partial<IdempotencyStore>).remember === 'function',
}

const RULES: Readonly<Record<string, Rule>> = {
  ...STORE_RULES,
  key: aFunction,
  scope: aText,
  store: aStore,
  keepResults: aFlag,
  onStoreError: aFunction,
}

/**
 * Makes a handler's effect happen once per key within the window. The order: handle, then remember, then let the bus acknowledge; so a
 * crash in between repeats the effect rather than losing it. Repeats that come while the first is handled wait for it: when it
 * succeeds they get its result (nothing, if it was a stream), when it fails the next one tries. What failed, was aborted or given
 * back, or has a result whose `success` is false, is not remembered. Throws INVALID_OPTION.
 */
export function idempotent(options: IdempotentOptions = {}): Middleware {
  checkOptions('idempotent', options, RULES)
  const { scope, store } = options
  if (store !== undefined) checkOption('idempotent', 'scope', scope, aText)
  const shared = scope === undefined ? undefined : new Once(options)
  const prefix = scope === undefined ? '' : `${scope}\n`
  const keyOf = (message: Message): string => {
    const key = options.key === undefined ? message.id : options.key(message)
    // A key that is missing would make all messages the same one, and lose their effects.
    checkOption('idempotent', 'the result of key', key, aText)
    return prefix + key
  }
  return (next: Handler): Handler => {
    const once = shared ?? new Once(options)
    return (message, context) =>
      once.run(
        keyOf(message),
        () => context.signal,
        (ended) => watch(next, message, context, ended),
      )
  }
}

/** What the first of several equal messages came to, for those that wait for it. */
type First = { readonly type: 'done'; readonly value: unknown } | { readonly type: 'again' }

type Handle = (ended: (how: Ended) => void | Promise<void>) => unknown

class Once {
  readonly #store: IdempotencyStore
  readonly #results: TwoGenerations<unknown> | undefined
  readonly #env: Env
  readonly #onStoreError: IdempotentOptions['onStoreError']
  /** Keys that are being handled. */
  readonly #running = new Map<string, Promise<First>>()

  constructor(options: IdempotentOptions) {
    const { windowMs = 600_000, limit = 100_000, env = systemEnv(), keepResults = false } = options
    this.#store = options.store ?? memoryIdempotency({ windowMs, limit, env })
    this.#env = env
    this.#results = keepResults ? new TwoGenerations(windowMs, limit, env.monotonicMs()) : undefined
    this.#onStoreError = options.onStoreError
  }

  run(key: string, signal: () => AbortSignal, handle: Handle): unknown {
    const first = this.#running.get(key)
    if (first === undefined) return this.#lead(key, handle)
    return orAborted(first, signal()).then((came) =>
      came.type === 'done' ? came.value : this.run(key, signal, handle),
    )
  }

  /** The first of a key: says so before anything is waited for. */
  #lead(key: string, handle: Handle): unknown {
    let finish = (_: First): void => undefined
    this.#running.set(key, new Promise((resolve) => (finish = resolve)))
    const end = (first: First): void => {
      this.#running.delete(key)
      finish(first)
    }
    return outcomeOf(
      () => this.#store.seen(key),
      (seen) => {
        if (seen !== true) return handle((how) => this.#ended(key, how, end))
        const value = this.#results?.get(key, this.#env.monotonicMs())
        end({ type: 'done', value })
        return value
      },
      (error) => {
        end({ type: 'again' })
        this.#tell(error, key)
        throw error
      },
    )
  }

  #ended(key: string, how: Ended, end: (first: First) => void): void | Promise<void> {
    if (how.type !== 'done' || isFailedResult(how.value)) {
      end({ type: 'again' })
      return
    }
    const finish = (): void => {
      this.#results?.set(key, how.value, this.#env.monotonicMs())
      end({ type: 'done', value: how.value })
    }
    const kept = outcomeOf(
      () => this.#store.remember(key),
      finish,
      (error) => {
        // The effect has happened: to fail now would surely repeat it.
        this.#tell(error, key)
        finish()
      },
    )
    return kept instanceof Promise ? kept : undefined
  }

  #tell(error: unknown, key: string): void {
    try {
      this.#onStoreError?.(error, key)
    } catch {
      // A listener that throws must not decide about the message.
    }
  }
}

/** The outcome, or a rejection when the signal is aborted first. */
function orAborted<T>(outcome: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortReason(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void outcome.then((value) => {
      signal.removeEventListener('abort', onAbort)
      resolve(value)
    })
  })
}
