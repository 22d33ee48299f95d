import type { Handler, Middleware } from '../bus/handler.ts'
import { aText, checkOption, checkOptions, type Rule, whole } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { Line } from './line.ts'
import { abortReason } from './pause.ts'
import { watch } from './watch.ts'

/** How many calls run at once, and how many may wait. */
export interface BulkheadOptions {
  readonly maxConcurrent: number
  /** Most calls that wait for a place; one more is refused with BULKHEAD_FULL. Default 100; 0 for none. */
  readonly maxWaiting?: number
  /** Names what is protected, in errors. Default `bulkhead`. */
  readonly name?: string
}

/** Keeps one dependency from taking all the room: at most so many calls of it run at once. */
export interface Bulkhead {
  readonly running: number
  readonly waiting: number
  readonly refused: number
  /** Around a handler; the place is free again when it has ended or was aborted. A refused call never began: `details.started` is false. */
  readonly middleware: Middleware
  /** Calls as soon as there is a place, first come, first served; rejects with BULKHEAD_FULL, or the signal's reason, without calling. */
  call<T>(run: () => T | PromiseLike<T>, options?: { readonly signal?: AbortSignal }): Promise<T>
}

const RULES: Readonly<Record<string, Rule>> = { maxConcurrent: whole(1), maxWaiting: whole(0), name: aText }

/** Makes a bulkhead. Throws INVALID_OPTION. */
export function bulkhead(options: BulkheadOptions): Bulkhead {
  checkOptions('bulkhead', options, RULES)
  checkOption('bulkhead', 'maxConcurrent', options.maxConcurrent, RULES.maxConcurrent!)
  const { maxConcurrent, maxWaiting = 100, name = 'bulkhead' } = options
  const line = new Line()
  let running = 0
  let refused = 0

  /** A place now (undefined), or the wait for one. Throws BULKHEAD_FULL. */
  const enter = (signal: () => AbortSignal | undefined, details: object): Promise<void> | undefined => {
    if (running < maxConcurrent) {
      running++
      return undefined
    }
    if (line.size >= maxWaiting) {
      refused++
      throw new BusError('BULKHEAD_FULL', `${name}: ${running} calls run and ${line.size} wait`, {
        details: { name, running, waiting: line.size, ...details },
      })
    }
    return line.join(1, signal(), () => undefined)
  }

  /** The place goes straight to the first who waits, so that nobody overtakes. */
  const leave = (): void => {
    if (line.size > 0) line.next()
    else running--
  }

  /** Between getting the place and using it, the caller may have given up. */
  const begins = (signal: AbortSignal | undefined): void => {
    if (!signal?.aborted) return
    leave()
    throw abortReason(signal)
  }

  return {
    get running() {
      return running
    },
    get waiting() {
      return line.size
    },
    get refused() {
      return refused
    },
    middleware: (next: Handler): Handler => {
      return (message, context) => {
        const run = (): unknown => watch(next, message, context, leave)
        const wait = enter(() => context.signal, { started: false })
        return wait === undefined
          ? run()
          : wait.then(() => {
              begins(context.signal)
              return run()
            })
      }
    },
    async call<T>(run: () => T | PromiseLike<T>, { signal }: { readonly signal?: AbortSignal } = {}): Promise<T> {
      await enter(() => signal, {})
      begins(signal)
      try {
        return await run()
      } finally {
        leave()
      }
    },
  }
}
