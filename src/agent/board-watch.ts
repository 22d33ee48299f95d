import { aFunction, checkOption, checkOptions, oneOf, type Rule, whole } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import type { BoardChange } from './board-fold.ts'

/** How changes wait for a loop that is slower than they come. */
export interface ChangesOptions {
  /** Most changes that wait. Default 1 000. */
  readonly limit?: number
  /** Beyond: the loop ends with STREAM_GAP once it has got what waited (`fail`, default), or the oldest change goes, counted. */
  readonly overflow?: 'fail' | 'drop-oldest'
  /** Ends the loop. */
  readonly signal?: AbortSignal
}

/** Called for each change, in their order. Whatever it throws is counted, and stops nothing. */
export type BoardHandler = (change: BoardChange) => unknown

const RULES: Readonly<Record<string, Rule>> = {
  limit: whole(1),
  overflow: oneOf(['fail', 'drop-oldest']),
  signal: { allowed: 'an AbortSignal', ok: (value) => value instanceof AbortSignal },
}

const aPrefix: Rule = { allowed: 'a text', ok: (value) => typeof value === 'string' }

/** Throws INVALID_OPTION. */
export function checkPrefix(verb: string, prefix: unknown): void {
  checkOption(verb, 'prefix', prefix, aPrefix)
}

interface Watcher {
  readonly prefix: string
  tell(change: BoardChange): void
  end(): void
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** Who is told of the changes of one board. */
export class BoardWatchers {
  readonly #all = new Set<Watcher>()
  readonly #onFault: (error: unknown) => void
  /** Changes that loops missed because they were too slow. */
  dropped = 0

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  get size(): number {
    return this.#all.size
  }

  tell(change: BoardChange): void {
    for (const one of this.#all) if (change.key.startsWith(one.prefix)) one.tell(change)
  }

  /** Returns how to end it. */
  watch(prefix: string, handler: BoardHandler): () => void {
    checkPrefix('watch', prefix)
    checkOption('watch', 'handler', handler, aFunction)
    const watcher: Watcher = {
      prefix,
      tell: (change) => {
        try {
          Promise.resolve(handler(change)).catch(this.#onFault)
        } catch (error) {
          this.#onFault(error)
        }
      },
      end: () => void this.#all.delete(watcher),
    }
    this.#all.add(watcher)
    return watcher.end
  }

  /** Every change from now on, in their order. */
  changes(prefix: string, options: ChangesOptions): AsyncIterableIterator<BoardChange, undefined> {
    checkPrefix('changes', prefix)
    checkOptions('changes', options, RULES)
    const { limit = 1_000, overflow = 'fail', signal } = options
    const waiting = new Ring<BoardChange>()
    const asking = new Ring<PromiseWithResolvers<IteratorResult<BoardChange, undefined>>>()
    let ended = false
    let fault: BusError | undefined
    const end = (): void => {
      ended = true
      this.#all.delete(watcher)
      signal?.removeEventListener('abort', end)
      for (let one = asking.shift(); one !== undefined; one = asking.shift()) one.resolve(DONE)
    }
    const watcher: Watcher = {
      prefix,
      end,
      tell: (change) => {
        const asked = asking.shift()
        if (asked !== undefined) {
          asked.resolve({ done: false, value: change })
          return
        }
        if (waiting.size >= limit && overflow === 'fail') {
          fault = new BusError('STREAM_GAP', `more than ${limit} changes waited: the loop is too slow`, {
            details: { limit, version: change.version },
          })
          end()
          return
        }
        if (waiting.size >= limit) {
          waiting.shift()
          this.dropped++
        }
        waiting.push(change)
      },
    }
    if (signal?.aborted) ended = true
    else {
      this.#all.add(watcher)
      signal?.addEventListener('abort', end, { once: true })
    }
    return {
      next() {
        const change = signal?.aborted ? undefined : waiting.shift()
        if (change !== undefined) return Promise.resolve({ done: false, value: change })
        const late = fault
        fault = undefined
        if (late !== undefined) return Promise.reject(late)
        if (ended) return Promise.resolve(DONE)
        const asked = Promise.withResolvers<IteratorResult<BoardChange, undefined>>()
        asking.push(asked)
        return asked.promise
      },
      return() {
        end()
        while (waiting.shift() !== undefined);
        fault = undefined
        return Promise.resolve(DONE)
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  /** Nothing more comes: loops end once they have got what waits. */
  end(): void {
    for (const one of [...this.#all]) one.end()
  }
}
