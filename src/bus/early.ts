import { BusError } from '../kit/errors.ts'
import type { Ack } from './ack.ts'
import type { Core } from './core.ts'
import type { Origin } from './maker.ts'

/** Publishes from before the start: kept until it, in order, or refused. */
export class EarlyPublishes {
  readonly #core: Core
  #waiting: (() => void)[] = []

  constructor(core: Core) {
    this.#core = core
  }

  /** Decides about a publish outside of "running": false lets it pass, true keeps it for the start. Throws BUS_CLOSED, NOT_RUNNING. */
  mustWait(origin: Origin | undefined): boolean {
    const { state, options } = this.#core
    if (state === 'closed') throw new BusError('BUS_CLOSED', `bus "${options.name}" is closed`)
    // What is in hand may finish, with all that it causes.
    if (state === 'draining' && origin?.delivery !== undefined) return false
    if (state !== 'idle' || options.beforeStart === 'refuse') {
      throw new BusError('NOT_RUNNING', `bus "${options.name}" is ${state}; it takes no messages now`, {
        details: { state },
      })
    }
    if (this.#waiting.length >= options.limit) {
      throw new BusError('QUEUE_FULL', `${options.limit} messages wait for the start of bus "${options.name}" already`)
    }
    return true
  }

  /** Keeps a made message until the start; if the bus is stopped or closed instead, it is refused. */
  later(go: () => Promise<Ack>): Promise<Ack> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          if (this.#core.state !== 'running') this.mustWait(undefined)
          go().then(resolve, reject)
        } catch (error) {
          reject(error as Error)
        }
      })
    })
  }

  /** Everything goes out now, in order. */
  start(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const publish of waiting) publish()
  }
}
