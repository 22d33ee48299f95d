import type { Context } from '../bus/handler.ts'

/** What a middleware changes of the context that it hands on; everything else is asked of the outer one, when it is asked. */
export interface ContextChange {
  readonly attempt?: number
  /** Made when the handler asks: a signal costs more than a call. */
  readonly signal?: () => AbortSignal
  readonly remainingMs?: () => number
  /** Called after the outer `extend`. */
  readonly onExtend?: (limitMs: number | undefined) => void
  /** Called after the handler has given its message back. */
  readonly onNack?: () => void
}

/** A context that differs from another in the given parts only. */
export function changedContext(context: Context, change: ContextChange): Context {
  return {
    get signal() {
      return change.signal === undefined ? context.signal : change.signal()
    },
    get attempt() {
      return change.attempt ?? context.attempt
    },
    get name() {
      return context.name
    },
    get remainingMs() {
      return change.remainingMs === undefined ? context.remainingMs : change.remainingMs()
    },
    get bus() {
      return context.bus
    },
    reply: (data, options) => context.reply(data, options),
    extend(limitMs) {
      context.extend(limitMs)
      change.onExtend?.(limitMs)
    },
    nack(options) {
      context.nack(options)
      change.onNack?.()
    },
  }
}
