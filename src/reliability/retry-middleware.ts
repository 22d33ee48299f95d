import type { Context, Handler, HandlerResult, Middleware } from '../bus/handler.ts'
import { aFunction, checkOptions } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import type { Message } from '../message/message.ts'
import { changedContext } from './context.ts'
import { outcomeOf, raise } from './outcome.ts'
import { abortReason, anEnv, pause } from './pause.ts'
import { RETRY_RULES, type RetryOptions, retryPart, retryPolicy } from './retry.ts'
import { isFailedResult, leftMsOf, verdict } from './verdict.ts'

/** One retry that is about to wait. */
export interface RetryNotice {
  readonly message: Message
  /** What was thrown, or the result whose `success` is false. */
  readonly error: unknown
  /** The attempt that failed. */
  readonly attempt: number
  readonly delayMs: number
}

/** How a handler is retried inside one delivery. */
export interface RetryHandlerOptions extends RetryOptions {
  /** True: retry this error. False: do not. Undefined: as the table of verdicts says. */
  readonly when?: (error: unknown) => boolean | undefined
  /** Called when no attempt is left or none makes sense; what it returns is the answer. Not called when the delivery was aborted. */
  readonly fallback?: (message: Message, context: Context, error: unknown) => HandlerResult
  /** Told before each wait. Whatever it throws is ignored. */
  readonly onRetry?: (notice: RetryNotice) => void
  readonly env?: Env
}

const RULES = { ...RETRY_RULES, when: aFunction, fallback: aFunction, onRetry: aFunction, env: anEnv }

/**
 * Calls the handler again after a failure, inside the same delivery: the message keeps its place and its session waits, so order holds.
 * A thrown error, and a result whose `success` is false, are failures. What is left at the end is the last error or result, or the
 * fallback's answer. Ends early when the delivery is aborted, when the handler gave its message back, and when the next wait would
 * outlast the handler's time limit. A streamed answer is not retried: its parts are out.
 */
export function retry(options: RetryHandlerOptions = {}): Middleware {
  checkOptions('retry', options, RULES)
  const policy = retryPolicy(retryPart(options))
  const { when, fallback, onRetry, env = systemEnv() } = options

  return (next: Handler): Handler =>
    (message, context) => {
      let nacked = false
      const onNack = (): void => {
        nacked = true
      }

      const attempt = (failures: number): unknown => {
        const inner = changedContext(context, { attempt: context.attempt + failures, onNack })
        return outcomeOf(
          () => next(message, inner),
          (result) => (isFailedResult(result) ? failed(failures + 1, result, () => result) : result),
          (error) => failed(failures + 1, error, () => raise(error)),
        )
      }

      const failed = (failures: number, error: unknown, end: () => unknown): unknown => {
        // Its delivery is over: neither another attempt nor a fallback may begin.
        if (nacked) return end()
        const delayMs =
          verdict(error, 'handler-error', { mode: 'call', when }) === 'retry' ? waitAfter(failures, error) : undefined
        if (delayMs === undefined || delayMs >= context.remainingMs) {
          return fallback === undefined || context.signal.aborted ? end() : fallback(message, context, error)
        }
        if (context.signal.aborted) throw abortReason(context.signal)
        tell({ message, error, attempt: context.attempt + failures - 1, delayMs })
        return pause(env, delayMs, context.signal).then(() => attempt(failures))
      }

      return attempt(0)
    }

  function waitAfter(failures: number, error: unknown): number | undefined {
    const delayMs = policy.delayMs(failures, () => env.random())
    return delayMs === undefined ? undefined : Math.max(delayMs, leftMsOf(error))
  }

  function tell(notice: RetryNotice): void {
    try {
      onRetry?.(notice)
    } catch {
      // A listener that throws must not cost the message its attempts.
    }
  }
}
