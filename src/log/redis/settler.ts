import type { RedisArg, RedisReply } from '../../broker/redis/link.ts'
import { backoffMs } from '../../kit/backoff.ts'
import { BusError } from '../../kit/errors.ts'
import type { Channel } from './channel.ts'
import { isPassing, logFault } from './faults.ts'
import { SCRIPTS } from './scripts.ts'

// Hot path: the settlements of a turn, of all groups of a channel, go out as one call. Steps keep their order; those with an entry that
// goes along have calls of their own, since a server that is full refuses such a call as a whole.

const MOST_STEPS = 500
const BACKOFF = { firstMs: 50, mostMs: 1_000 }

/** A step of the script `settle`, without the number of its group. */
export type StepKind = 's' | 'o' | 'n' | 'f' | 'e' | 'u' | 'b' | 'c'

/** Whose entry it is. */
export interface Place {
  readonly stream: string
  readonly group: string
}

/** Which entry it is, with which lease. */
export interface Lease {
  readonly number: number
  readonly token: number
  /** The first offset of its run; 0 for none. */
  readonly run: number
}

/** Of no lease. */
export const NO_LEASE: Lease = Object.freeze({ number: 0, token: 0, run: 0 })

interface Step {
  readonly of: Place
  readonly kind: StepKind
  readonly lease: Lease
  readonly rest: readonly unknown[]
  readonly along: AlongArgs | undefined
  /** Monotonic milliseconds after which it is of no use any more. */
  readonly untilMs: number
  readonly outcome: PromiseWithResolvers<boolean>
  tries: number
  /** It may have been carried out already: then it is no stale lease. */
  again: boolean
}

/** What goes along with a settlement. */
export interface AlongArgs {
  readonly stream: string
  readonly note: string | undefined
  /** Undefined: the entry's own message. */
  readonly text: string | undefined
  readonly rest: string
  /** Of another channel: the begin of its keys, and its name. */
  readonly other: readonly [base: string, channel: string] | undefined
}

/** Carries out what becomes of deliveries in one channel. */
export class Settler {
  readonly #channel: Channel
  #steps: Step[] = []
  #scheduled = false
  /** Of each call that is under way, and of each that is to be made again. */
  readonly #unanswered = new Set<readonly Step[]>()
  readonly #idle: (() => void)[] = []
  #closed = false

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** Resolves to whether the lease was the present one. What is lost on the way is tried again until `untilMs`. */
  step(
    of: Place,
    kind: StepKind,
    lease: Lease,
    untilMs: number,
    rest: readonly unknown[] = [],
    along?: AlongArgs,
  ): Promise<boolean> {
    const outcome = Promise.withResolvers<boolean>()
    this.#steps.push({ of, kind, lease, rest, along, untilMs, outcome, tries: 0, again: false })
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#channel.env.nextTurn(() => this.flush())
    }
    return outcome.promise
  }

  /** Sends everything at once: what is called next finds it done. */
  flush(): void {
    this.#scheduled = false
    const steps = this.#steps
    if (steps.length === 0) return
    this.#steps = []
    let from = 0
    for (let at = 1; at <= steps.length; at++) {
      const same = at < steps.length && (steps[at]?.along === undefined) === (steps[from]?.along === undefined)
      if (same && at - from < MOST_STEPS) continue
      this.#send(from === 0 && at === steps.length ? steps : steps.slice(from, at))
      from = at
    }
  }

  /** Leases of a group about which the server was told something that it has not answered. */
  tokensOf(stream: string, group: string): number[] {
    const tokens: number[] = []
    for (const steps of [...this.#unanswered, this.#steps]) {
      for (const { of, lease } of steps) if (of.stream === stream && of.group === group) tokens.push(lease.token)
    }
    return tokens
  }

  /** Resolves once everything is answered. */
  async settled(): Promise<void> {
    this.flush()
    while (this.#unanswered.size > 0 || this.#steps.length > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    }
  }

  /** Nothing is tried again any more. */
  close(): void {
    this.#closed = true
  }

  #send(steps: Step[]): void {
    const named: [string, string][] = []
    const numbers = new Map<Place, number>()
    const list: unknown[][] = []
    /** How many entries each step of the script is about. */
    const sizes: number[] = []
    const args: RedisArg[] = ['', '', steps[0]?.along === undefined ? '0' : '1']
    for (let at = 0; at < steps.length; ) {
      const first = steps[at] as Step
      const { of, kind, lease, rest, along, again } = first
      let number = numbers.get(of)
      if (number === undefined) numbers.set(of, (number = named.push([of.stream, of.group])))
      const step = [number, kind, String(lease.number), String(again ? -lease.token : lease.token), lease.run, ...rest]
      let size = 1
      if (kind === 's') {
        while (at + size < steps.length && follows(first, steps[at + size] as Step, size)) size++
        step.push(size)
      } else if (kind === 'o') step.push(1)
      if (along !== undefined) {
        let message = 0
        if (along.text !== undefined) message = args.push(along.text) - 3
        step.push(along.stream, along.note ?? false, message, along.rest, ...(along.other ?? []))
      }
      list.push(step)
      sizes.push(size)
      at += size
    }
    args[0] = JSON.stringify(named)
    args[1] = JSON.stringify(list)
    this.#unanswered.add(steps)
    this.#channel.change(SCRIPTS.settle, args).then(
      (reply) => {
        this.#unanswered.delete(steps)
        this.#answer(steps, sizes, reply as readonly RedisReply[])
        this.#rest()
      },
      (error: unknown) => {
        this.#unanswered.delete(steps)
        this.#failed(steps, error)
        this.#rest()
      },
    )
  }

  #rest(): void {
    if (this.#unanswered.size === 0) for (const done of this.#idle.splice(0)) done()
  }

  #answer(steps: readonly Step[], sizes: readonly number[], reply: readonly RedisReply[]): void {
    let at = 0
    for (let index = 0; index < sizes.length; index++) {
      const answer = reply[index] as RedisReply
      const size = sizes[index] as number
      for (let part = 0; part < size; part++) {
        const { outcome, of } = steps[at++] as Step
        const told = Array.isArray(answer) ? (answer as readonly RedisReply[])[part] : answer
        if (typeof told === 'number') outcome.resolve(told === 1)
        else {
          const text = `an entry of "${of.stream}" was not settled: ${String(told).slice(1)}`
          reject(outcome, new BusError('STORE_FAILED', text))
        }
      }
    }
  }

  #failed(steps: readonly Step[], error: unknown): void {
    const nowMs = this.#channel.env.monotonicMs()
    const again: Step[] = []
    for (const step of steps) {
      if (this.#closed || !isPassing(error) || nowMs >= step.untilMs) {
        reject(step.outcome, logFault(`an entry of "${step.of.stream}" was not settled`, error))
        continue
      }
      step.again = true
      step.tries++
      again.push(step)
    }
    if (again.length === 0) return
    this.#unanswered.add(again)
    this.#channel.env.after(backoffMs(this.#channel.env, BACKOFF, again[0]?.tries ?? 1), () => {
      this.#unanswered.delete(again)
      // Older than what came meanwhile.
      this.#steps = [...again, ...this.#steps]
      this.flush()
      this.#rest()
    })
  }
}

/** A plain settlement of what lies in the same run, `by` behind the first one. */
function follows(first: Step, next: Step, by: number): boolean {
  const { lease, of, rest, again } = first
  return (
    lease.run !== 0 &&
    next.kind === 's' &&
    next.of === of &&
    next.lease.run === lease.run &&
    next.lease.number === lease.number + by &&
    next.lease.token === lease.token + by &&
    next.rest[0] === rest[0] &&
    next.again === again &&
    first.along === undefined &&
    next.along === undefined
  )
}

function reject(outcome: PromiseWithResolvers<boolean>, error: BusError): void {
  // Nobody needs to wait for a settlement: its failure must not end the process.
  outcome.promise.catch(() => undefined)
  outcome.reject(error)
}
