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

interface Step {
  readonly stream: string
  readonly group: string
  readonly kind: StepKind
  readonly offset: number
  token: number
  readonly rest: readonly unknown[]
  readonly along: AlongArgs | undefined
  /** Monotonic milliseconds after which it is of no use any more. */
  readonly untilMs: number
  readonly outcome: PromiseWithResolvers<boolean>
  tries: number
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
    stream: string,
    group: string,
    kind: StepKind,
    offset: number,
    token: number,
    untilMs: number,
    rest: readonly unknown[] = [],
    along?: AlongArgs,
  ): Promise<boolean> {
    const outcome = Promise.withResolvers<boolean>()
    this.#steps.push({ stream, group, kind, offset, token, rest, along, untilMs, outcome, tries: 0 })
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
      for (const one of steps) if (one.stream === stream && one.group === group) tokens.push(Math.abs(one.token))
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
    const numbers = new Map<string, Map<string, number>>()
    const list: unknown[][] = []
    const args: RedisArg[] = ['', '', steps[0]?.along === undefined ? '0' : '1']
    for (const { stream, group, kind, offset, token, rest, along } of steps) {
      let groups = numbers.get(stream)
      if (groups === undefined) numbers.set(stream, (groups = new Map()))
      let number = groups.get(group)
      if (number === undefined) groups.set(group, (number = named.push([stream, group])))
      const step = [number, kind, String(offset), String(token), ...rest]
      if (along !== undefined) {
        let message = 0
        if (along.text !== undefined) message = args.push(along.text) - 3
        step.push(along.stream, along.note ?? false, message, along.rest, ...(along.other ?? []))
      }
      list.push(step)
    }
    args[0] = JSON.stringify(named)
    args[1] = JSON.stringify(list)
    this.#unanswered.add(steps)
    this.#channel.change(SCRIPTS.settle, args).then(
      (reply) => {
        this.#unanswered.delete(steps)
        this.#answer(steps, reply as readonly RedisReply[])
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

  #answer(steps: readonly Step[], reply: readonly RedisReply[]): void {
    for (let at = 0; at < steps.length; at++) {
      const { outcome, stream } = steps[at] as Step
      const answer = reply[at]
      if (typeof answer === 'number') outcome.resolve(answer === 1)
      else
        reject(
          outcome,
          new BusError('STORE_FAILED', `an entry of "${stream}" was not settled: ${String(answer).slice(1)}`),
        )
    }
  }

  #failed(steps: readonly Step[], error: unknown): void {
    const nowMs = this.#channel.env.monotonicMs()
    const again: Step[] = []
    for (const step of steps) {
      if (this.#closed || !isPassing(error) || nowMs >= step.untilMs) {
        reject(step.outcome, logFault(`an entry of "${step.stream}" was not settled`, error))
        continue
      }
      // It may have been carried out: then it is no stale lease the next time.
      if (step.token > 0) step.token = -step.token
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

function reject(outcome: PromiseWithResolvers<boolean>, error: BusError): void {
  // Nobody needs to wait for a settlement: its failure must not end the process.
  outcome.promise.catch(() => undefined)
  outcome.reject(error)
}
