import type { Handler, Middleware } from '../bus/handler.ts'
import { aText, checkOption, checkOptions, milliseconds, oneOf, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv, type Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { Line } from './line.ts'
import { anEnv } from './pause.ts'

/** How much passes in how much time. */
export interface RateLimitOptions {
  /** Permits that come back in each interval. */
  readonly permits: number
  /** Milliseconds. Default 1 000. */
  readonly intervalMs?: number
  /** Most permits saved up for a burst. Default: `permits`. */
  readonly burst?: number
  /** What happens without a permit: `wait` for one in turn (default), or `refuse` with RATE_LIMITED. */
  readonly mode?: 'wait' | 'refuse'
  /** Under `wait`: who would wait longer is refused at once. Default 30 000. */
  readonly maxWaitMs?: number
  /** Under `wait`: most who wait; one more is refused. Default 1 000. */
  readonly maxWaiting?: number
  /** Names what is limited, in errors. Default `rate limit`. */
  readonly name?: string
  readonly env?: Env
}

/** A token bucket: in any time t at most `burst + t × permits / intervalMs` permits are given. */
export interface RateLimit {
  /** Whole permits that can be taken now without waiting. */
  readonly available: number
  readonly waiting: number
  readonly refused: number
  /** Around a handler. A refused call never began: `details.started` is false. */
  readonly middleware: Middleware
  /** Takes permits now, or says false. Never overtakes those who wait. */
  tryTake(permits?: number): boolean
  /** Resolves with the permits taken, first come, first served; rejects with RATE_LIMITED, or the signal's reason, with none taken. */
  take(permits?: number, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Takes one permit, then calls. */
  call<T>(run: () => T | PromiseLike<T>, options?: { readonly signal?: AbortSignal }): Promise<T>
}

const RULES: Readonly<Record<string, Rule>> = {
  permits: whole(1),
  intervalMs: milliseconds(1),
  burst: whole(1),
  mode: oneOf(['wait', 'refuse']),
  maxWaitMs: milliseconds(0),
  maxWaiting: whole(0),
  name: aText,
  env: anEnv,
}

/** What sums of fractions may be wrong by; it is given on credit, so that no sum of permits exceeds the promise by more than this. */
const ROUNDING = 1e-6

/** Makes a token bucket, full. Throws INVALID_OPTION. */
export function rateLimit(options: RateLimitOptions): RateLimit {
  checkOptions('rateLimit', options, RULES)
  checkOption('rateLimit', 'permits', options.permits, RULES.permits!)
  const { permits, intervalMs = 1_000, burst = permits, mode = 'wait' } = options
  const { maxWaitMs = 30_000, maxWaiting = 1_000, name = 'rate limit', env = systemEnv() } = options
  const perMs = permits / intervalMs
  const line = new Line()
  let saved = burst
  let savedMs = env.monotonicMs()
  let refused = 0
  let timer: Timer | undefined

  const refill = (): void => {
    const nowMs = env.monotonicMs()
    saved = Math.min(burst, saved + (nowMs - savedMs) * perMs)
    savedMs = nowMs
  }

  const takeNow = (count: number): boolean => {
    if (saved + ROUNDING < count) return false
    saved -= count
    return true
  }

  /** Milliseconds until so many permits are there, behind all who wait. */
  const leftMs = (count: number): number => Math.max(0, (line.cost + count - saved) / perMs)

  const arm = (): void => {
    timer?.cancel()
    timer = undefined
    const { first } = line
    // At least a microsecond: a rounding fault must not make a timer that is due at the same instant for ever.
    if (first !== undefined) timer = env.after(Math.max(0.001, (first.cost - saved) / perMs), serve)
  }

  const serve = (): void => {
    refill()
    for (let one = line.first; one !== undefined && takeNow(one.cost); one = line.first) line.next()
    arm()
  }

  const check = (count: number): void => {
    checkOption('rateLimit', 'permits', count, whole(1, burst))
    refill()
  }

  const refuse = (count: number, details: object): BusError => {
    refused++
    const waitMs = leftMs(count)
    return new BusError('RATE_LIMITED', `${name}: no permit for another ${Math.ceil(waitMs)} ms`, {
      details: { name, leftMs: waitMs, ...details },
    })
  }

  /** A permit now (undefined), or the wait for one. Throws RATE_LIMITED. */
  const enter = (
    count: number,
    signal: () => AbortSignal | undefined,
    most: number,
    details: object,
  ): Promise<void> | undefined => {
    if (line.size === 0 && takeNow(count)) return undefined
    if (mode === 'refuse' || line.size >= maxWaiting || leftMs(count) > most) throw refuse(count, details)
    const wait = line.join(count, signal(), serve)
    if (timer === undefined) arm()
    return wait
  }

  const take = async (count: number, signal: AbortSignal | undefined): Promise<void> => {
    check(count)
    await enter(count, () => signal, maxWaitMs, {})
  }

  return {
    get available() {
      refill()
      return line.size > 0 ? 0 : Math.max(0, Math.floor(saved + ROUNDING))
    },
    get waiting() {
      return line.size
    },
    get refused() {
      return refused
    },
    middleware: (next: Handler): Handler => {
      return (message, context) => {
        check(1)
        // Who would wait beyond the handler's time limit is refused now: it would only be timed out later.
        const most = Math.min(maxWaitMs, context.remainingMs)
        const wait = enter(1, () => context.signal, most, { started: false })
        return wait === undefined ? next(message, context) : wait.then(() => next(message, context))
      }
    },
    tryTake(count = 1) {
      check(count)
      if (line.size === 0 && takeNow(count)) return true
      refused++
      return false
    },
    take: (count = 1, { signal } = {}) => take(count, signal),
    async call<T>(run: () => T | PromiseLike<T>, { signal }: { readonly signal?: AbortSignal } = {}): Promise<T> {
      await take(1, signal)
      return run()
    },
  }
}
