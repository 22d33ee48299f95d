import { aFunction, checkOption, checkOptions, milliseconds } from '../kit/check.ts'
import type { Timer } from '../kit/env.ts'
import type { Core } from './core.ts'
import type { Delivery, Note } from './delivery.ts'
import type { Queue } from './queue.ts'
import { Pending } from './request.ts'

/** What counts as a stall, and who is told. */
export interface StallOptions {
  /** Milliseconds without progress, while there is work, after which an agent is stalled. Default 30 000. */
  readonly limitMs?: number
  /** Milliseconds between two looks. Default 5 000. */
  readonly checkMs?: number
  /** Called once for each stall; again only after the agent has moved. */
  readonly onStall: (stall: Stall) => void
}

/** An agent or subscription that does not get on. */
export interface Stall {
  readonly name: string
  readonly waiting: number
  readonly running: number
  readonly quietMs: number
  /** Names of agents that wait for each other in a ring, beginning and ending with this one; undefined when there is none. */
  readonly ring: readonly string[] | undefined
}

const RULES = { limitMs: milliseconds(1), checkMs: milliseconds(1), onStall: aFunction }

/** Watches for agents that have work and make no progress, and for rings of requests that wait for each other. */
export class StallWatch {
  readonly #core: Core
  readonly #queues: () => Iterable<Queue>
  readonly #limitMs: number
  readonly #checkMs: number
  readonly #onStall: (stall: Stall) => void
  /** Stalled queues, with the progress they had then. */
  readonly #told = new Map<Queue, number>()
  #timer: Timer | undefined

  constructor(core: Core, queues: () => Iterable<Queue>, options: StallOptions) {
    checkOptions('watch', options, RULES)
    checkOption('watch', 'onStall', options.onStall, aFunction)
    this.#core = core
    this.#queues = queues
    this.#limitMs = options.limitMs ?? 30_000
    this.#checkMs = options.checkMs ?? 5_000
    this.#onStall = options.onStall
    this.#arm()
  }

  /** Looks no more, and holds no timer. */
  pause(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  resume(): void {
    if (this.#timer === undefined) this.#arm()
  }

  #arm(): void {
    this.#timer = this.#core.env.after(this.#checkMs, () => {
      this.#timer = undefined
      if (this.#core.state === 'stopped' || this.#core.state === 'closed') return
      this.#look()
      this.#arm()
    })
  }

  #look(): void {
    const nowMs = this.#core.clock.readMs()
    for (const queue of this.#queues()) {
      const hasWork = queue.running > 0 || queue.size > 0
      const quietMs = nowMs - queue.progressMs
      if (!hasWork || this.#told.get(queue) !== queue.progressMs) this.#told.delete(queue)
      if (!hasWork || this.#told.has(queue)) continue
      const ring = ringOf(queue, this.#core)
      if (quietMs < this.#limitMs && ring === undefined) continue
      this.#told.set(queue, queue.progressMs)
      const stall = { name: queue.name, waiting: queue.size, running: queue.running, quietMs, ring }
      this.#core.announce('agent.stalled', stall)
      this.#core.guard(() => this.#onStall(stall))
    }
  }
}

/** The names along a ring of waiting requests that leads back to the queue. */
function ringOf(start: Queue, core: Core): readonly string[] | undefined {
  const seen = new Set<Queue>()
  const path: string[] = []
  const visit = (queue: Queue): boolean => {
    path.push(queue.name)
    for (const next of awaitedQueues(queue, core)) {
      if (next === start) {
        path.push(start.name)
        return true
      }
      if (seen.has(next)) continue
      seen.add(next)
      if (visit(next)) return true
    }
    path.pop()
    return false
  }
  return visit(start) ? path : undefined
}

/** The queues in which requests wait that this queue's handlers have open: asked from a handler, or under the agent's name. */
function* awaitedQueues(queue: Queue, core: Core): IterableIterator<Queue> {
  const names = new Set<string>(
    core.agents.find(queue.name)?.queue === queue && queue.members.length === 0 ? [queue.name] : [],
  )
  for (const delivery of queue.runs()) {
    if (delivery.agent !== undefined) names.add(delivery.agent)
    yield* waitingFor(delivery, core)
  }
  for (const pending of core.requests) {
    const { message } = pending
    if (message.from !== undefined && names.has(message.from)) yield* core.router.route(message.topic).plain ?? []
  }
}

function* waitingFor(delivery: Delivery, core: Core): IterableIterator<Queue> {
  for (const note of delivery.waits ?? ([] as Note[])) {
    if (!(note instanceof Pending)) continue
    yield* core.router.route(note.message.topic).plain ?? []
  }
}
