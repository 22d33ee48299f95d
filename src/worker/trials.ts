import type { Delivery as Leased, MessageLog } from '../log/log.ts'

/** One message on trial. */
export interface Trial {
  /** Resolves when its handler may start; never, if the trial was ended before. */
  readonly turn: Promise<void>
  /** Its handler is over, or will not start. May be called again. */
  end(): void
}

interface Entry {
  readonly alone: boolean
  readonly start: () => void
}

/**
 * Messages in whose handlers a process has died, of all groups of this process: some may be handled together, others only alone. Turns
 * are given in the order of coming.
 */
export class Trials {
  readonly #waiting: Entry[] = []
  readonly #running = new Set<Entry>()

  enter(alone: boolean): Trial {
    const { promise, resolve } = Promise.withResolvers<void>()
    const entry: Entry = { alone, start: resolve }
    this.#waiting.push(entry)
    this.#next()
    return {
      turn: promise,
      end: () => {
        const at = this.#waiting.indexOf(entry)
        if (at >= 0) this.#waiting.splice(at, 1)
        this.#running.delete(entry)
        this.#next()
      },
    }
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const [running] = this.#running
      if (running !== undefined && (first.alone || running.alone)) return
      this.#waiting.shift()
      this.#running.add(first)
      first.start()
    }
  }
}

const byLog = new WeakMap<MessageLog, Trials>()

/** The trials of everybody in this process who handles messages of the log. */
export function trialsOf(log: MessageLog): Trials {
  let trials = byLog.get(log)
  if (trials === undefined) {
    trials = new Trials()
    byLog.set(log, trials)
  }
  return trials
}

/** True for a message of which nobody knows whether it was the one that killed a process. */
export function isSuspicious({ suspect, attempt }: Leased): boolean {
  return suspect && attempt > 1
}

/** From this attempt on nobody believes in chance any more. */
const TOO_OFTEN = 3

/**
 * True for a suspicious message that must be handled alone: processes died while it was handled, more often than chance explains, or
 * so often that the next time would be its end. Only one of those that were handled then can be the cause; alone, it takes no other
 * with it. Before that they go together: most processes die of something else, and one by one would take long.
 */
export function mustBeAlone({ attempt }: Leased, attempts: number): boolean {
  return attempt >= Math.min(attempts, TOO_OFTEN)
}
