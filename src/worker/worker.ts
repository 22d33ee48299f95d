import type { FailureReason, Outcome } from '../bus/ack.ts'
import { holdSession, tryAgain } from '../bus/held.ts'
import type { KeptQueue } from '../bus/kept.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import type { Delivery as Leased, Settled } from '../log/log.ts'
import type { Message } from '../message/message.ts'
import { announceAck } from './acked.ts'
import { type Again, againAfter } from './again.ts'
import type { Channel } from './channel.ts'
import { Grave } from './grave.ts'
import { Halts } from './halted.ts'
import { Handling, type LaneState, type Settler } from './handling.ts'
import { interestOf, staleOf } from './interest.ts'
import { LaneReader } from './lane-reader.ts'
import { readStory, writeStory } from './record.ts'
import { Renewal } from './renewal.ts'
import { StrictLines } from './strict.ts'
import { takenOf } from './taken.ts'
import { type Trials, trialsOf } from './trials.ts'
import type { WorkerHost } from './worker-host.ts'

/**
 * Serves one queue with the messages of one channel, for one group; with `grave.ts` the only file that settles. The order of effects:
 * the handler ends, then its message is settled; a dead letter and its settlement are one step.
 */
export class GroupWorker implements Settler {
  readonly channel: Channel
  readonly group: string
  readonly #host: WorkerHost
  readonly #what: KeptQueue
  /** True when the group gets messages like this one. */
  readonly wants: (message: Message) => boolean
  readonly isStale: (message: Message) => boolean
  readonly #lanes: readonly LaneState[]
  readonly #inHand = new Set<Handling>()
  readonly #stop = new AbortController()
  /** Sessions that wait until their dead letter is redriven or discarded. */
  readonly halts: Halts
  readonly #strict: StrictLines
  readonly #reader: LaneReader
  readonly trials: Trials
  readonly #grave: Grave
  readonly renewal: Renewal<Handling>
  #paused = false
  #emptied: PromiseWithResolvers<void> | undefined

  constructor(host: WorkerHost, channel: Channel, group: string, what: KeptQueue) {
    this.#host = host
    this.channel = channel
    this.group = group
    this.#what = what
    this.wants = interestOf(what)
    this.isStale = staleOf(what, host.env)
    this.trials = trialsOf(host.log)
    this.#grave = new Grave(host, channel, group, what.queue.name)
    this.#strict = new StrictLines(channel.policy.order === 'strict')
    const { dead, policy } = channel
    this.halts = new Halts({
      env: host.env,
      log: host.log,
      queue: what.queue,
      group,
      dead: policy.afterDeadLetter === 'halt' ? dead : undefined,
      failed: (error) => host.announce('log.failed', { stream: dead, group, error }),
    })
    this.#lanes = channel.lanes.map((stream, index) => ({ index, stream, inHand: 0, held: 0, wake: undefined }))
    this.renewal = new Renewal(host, channel.policy.ackWaitMs, {
      inHand: this.#inHand,
      failed: (asked) => this.#watch(asked, undefined),
      lost: (handling) => this.#lose(handling),
    })
    this.#reader = new LaneReader(host, channel.policy, group, what, this.#stop.signal, {
      take: (lane, leased) => {
        // Another process may have halted the session since: what the log says now counts.
        const asks = this.halts.isShared && leased.message.session !== undefined
        if (asks) return this.halts.refresh().then(() => this.#take(lane, leased))
        this.#take(lane, leased)
        return undefined
      },
      isPaused: () => this.#paused,
      inHand: () => this.#inHand.size,
    })
  }

  /** Begins to read. */
  start(): void {
    for (const lane of this.#lanes) void this.#reader.read(lane)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    for (const lane of this.#lanes) lane.wake?.()
  }

  /** Takes nothing more, and waits until everything in hand was settled or given back. */
  async end(): Promise<void> {
    this.#paused = true
    for (const handling of [...this.#inHand]) {
      if (handling.timer !== undefined) this.#giveBack(handling)
      else if (this.#strict.has(handling)) this.#giveBack(handling)
      else if (handling.isTaken) this.#finishTaken(handling)
    }
    if (this.#inHand.size > 0) {
      this.#emptied ??= Promise.withResolvers()
      await this.#emptied.promise
    }
    this.#stop.abort()
    for (const lane of this.#lanes) lane.wake?.()
    this.renewal.end()
    this.halts.end()
  }

  /** Ends the message of an id, wherever it is in hand. True when it was there. */
  cancel(id: string): boolean {
    const error = new BusError('CANCELLED', `message "${id}" was cancelled`)
    for (const handling of this.#inHand) {
      if (handling.message.id !== id || handling.over || handling.cancelled) continue
      handling.cancelled = true
      const { running } = handling
      if (running !== undefined) {
        running.abort(error)
        running.end('dropped', undefined, 'cancelled', error)
      } else this.#endWaiting(handling, 'dropped', 'cancelled', error)
      return true
    }
    return false
  }

  /** Drops a message that waits in hand: there is no room for it. True when it was there. */
  drop(stream: string, offset: string, error: BusError): boolean {
    for (const handling of this.#inHand) {
      if (handling.leased.offset !== offset || handling.lane.stream !== stream || !handling.waits) continue
      this.#endWaiting(handling, 'dropped', 'queue-full', error)
      return true
    }
    return false
  }

  /** Settles what expired while it waited; nobody need ask for it. */
  async sweep(wallMs: number): Promise<void> {
    for (const { stream } of this.#lanes) {
      const inHand = new Map<string, Handling>()
      for (const one of this.#inHand) if (one.lane.stream === stream) inHand.set(one.leased.offset, one)
      const expired = this.#host.log.read(stream, { openFor: this.group, expiredBy: wallMs, signal: this.#stop.signal })
      for await (const entry of expired) {
        if (entry.type === 'gap' || !this.wants(entry.message)) continue
        const text = `"${entry.message.topic}" expired before "${this.group}" handled it`
        const error = new BusError('MESSAGE_EXPIRED', text)
        const handling = inHand.get(entry.offset)
        if (handling === undefined) await this.#grave.buryExpired(entry, error)
        else if (handling.waits) this.#endWaiting(handling, 'expired', 'expired', error)
      }
    }
  }

  /** The handler failed: true when its session waits for another try. */
  hold(handling: Handling, reason: FailureReason, error: unknown): boolean {
    if (handling.over || handling.lost || this.#paused) return false
    const again = this.#again(handling, reason, error)
    if (again === undefined) return false
    const { lane } = handling
    this.#nack(handling, again, error, true)
    lane.held++
    handling.timer = this.#host.env.after(again.delayMs, () => this.#tryAgain(handling))
    lane.wake?.()
    return true
  }

  /** The handling is over for its queue. True when the message goes on. */
  settled(
    handling: Handling,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
  ): boolean {
    if (handling.over || (handling.lost && outcome !== 'handled')) {
      this.#release(handling)
      return true
    }
    const { message } = handling
    if (outcome === 'handled') {
      if (value !== undefined && message.replyTo !== undefined) {
        this.#host.respond(message, value, this.#what.queue.name, undefined)
      }
      const done = { name: this.#what.queue.name, outcome, value, reason: undefined, error: undefined }
      this.#host.settled(message, this.group, handling.story, done)
      if (handling.wasStarted) {
        this.#settleAcked(handling)
        this.#release(handling)
      } else this.#takenByHand(handling)
      return false
    }
    const why = reason as FailureReason
    if (why === 'unregistered' || why === 'shutdown') {
      this.#giveBack(handling)
      return true
    }
    if (outcome === 'failed') {
      const again = this.#again(handling, why, error)
      if (again !== undefined) {
        this.#nack(handling, again, error, false)
        if (this.#paused) this.#giveBackBehind(handling)
        this.#release(handling)
        return true
      }
      handling.noteAttempt(this.#host.env.wallMs(), error, false)
    }
    this.#bury(handling, outcome, why, error)
    return false
  }

  /** Its consumer works on it now: what is behind it may be taken, and that acknowledges it. */
  #takenByHand(handling: Handling): void {
    const { lane, message } = handling
    handling.take()
    // Outside of the window, and not before its session: the next one could not come otherwise.
    lane.held++
    this.#goOn(message.session)
    takenOf(this.#what.queue).take(() => this.#finishTaken(handling))
    if (handling.isOnce) this.#finishTaken(handling)
    else lane.wake?.()
  }

  #finishTaken(handling: Handling): void {
    if (!this.#inHand.has(handling)) return
    handling.lane.held--
    this.#settleAcked(handling)
    this.#drop(handling)
  }

  #again(handling: Handling, reason: FailureReason, error: unknown): Again | undefined {
    return againAfter(handling, this.channel.policy, reason, error, () => this.#host.env.random())
  }

  /** `hold`: it stays in hand, and is tried again from here. */
  #nack(handling: Handling, { delayMs, counts }: Again, error: unknown, hold: boolean): void {
    const { leased, message, attempt, startedMs, by = this.#what.queue.name } = handling
    handling.noteAttempt(this.#host.env.wallMs(), error, counts)
    this.#watch(leased.nack({ delayMs, note: writeStory(handling.story), count: counts, hold }), handling)
    this.#host.announce('message.retried', { message, name: by, startedMs, delayMs, attempt, error })
  }

  #tryAgain(handling: Handling): void {
    handling.timer = undefined
    handling.lane.held--
    tryAgain(this.#what.queue, handling.message)
  }

  /** Settles a message that waits in the queue, or for another try; the queue finds it over when it comes to it. */
  #endWaiting(handling: Handling, outcome: 'dropped' | 'expired', reason: FailureReason, error: BusError): void {
    handling.over = true
    handling.cancelled = true
    const record = this.#grave.recordOf(handling, reason, error)
    const kept = handling.leased.settle(outcome, this.#grave.along(record))
    this.#watch(kept, handling)
    this.#host.fail(this.#what.queue.name, handling.message, outcome, reason, error)
    this.#grave.tell(kept, record, handling.message, reason, error)
    this.#leaveLine(handling)
  }

  /** Its lease ran out. In a log of this process it comes back to this worker; in a shared one somebody else may have it. */
  #lose(handling: Handling): void {
    if (!this.#host.log.supports.shared || handling.over || handling.isTaken) return
    const { running, message } = handling
    if (running === undefined) {
      handling.over = true
      handling.cancelled = true
      this.#leaveLine(handling)
      return
    }
    handling.lost = true
    running.abort(new BusError('LEASE_LOST', `the lease of "${message.topic}" ran out while it was handled`))
  }

  /** A message that waits is over: out of its place, if it has one outside of the queue. */
  #leaveLine(handling: Handling): void {
    if (this.#strict.leave(handling)) this.#drop(handling)
    else if (handling.timer !== undefined) {
      handling.timer.cancel()
      this.#tryAgain(handling)
    }
  }

  #bury(handling: Handling, outcome: Exclude<Outcome, 'handled'>, reason: FailureReason, error: unknown): void {
    const { message, leased } = handling
    const { session } = message
    const record = this.#grave.recordOf(handling, reason, error)
    const as: Settled = outcome === 'failed' ? 'dead' : outcome
    const kept = this.#grave.keep(leased, as, record, this.#stop.signal, (error) => this.#failed(handling, error))
    this.#watch(kept, handling)
    if (outcome === 'failed' && session !== undefined) this.halts.halt(session)
    this.#release(handling)
    this.#grave.tell(kept, record, message, reason, error)
  }

  #settleAcked(handling: Handling): void {
    const { message, leased, by = this.#what.queue.name } = handling
    const kept = leased.settle('acked')
    this.#watch(kept, handling)
    announceAck(this.#host, kept, message, by, this.channel.name, this.group)
  }

  /** Back to the log, as if it had never been handed out. */
  #giveBack(handling: Handling): void {
    handling.timer?.cancel()
    if (handling.timer !== undefined) handling.lane.held--
    handling.timer = undefined
    this.#watch(handling.leased.nack({ count: false, note: writeStory(handling.story) }), handling)
    this.#release(handling)
  }

  /** It will be tried again after the next start: what is behind it in its session waits as well, or it would be overtaken. */
  #giveBackBehind({ message: { session } }: Handling): void {
    for (const one of this.#inHand) {
      if (session === undefined || one.message.session !== session || !one.waits) continue
      one.over = true
      one.cancelled = true
      this.#watch(one.leased.nack({ count: false, note: writeStory(one.story) }), one)
    }
  }

  /** The message is in hand no more; its session goes on. */
  #release(handling: Handling): void {
    this.#drop(handling)
    this.#goOn(handling.message.session)
  }

  #goOn(session: string | undefined): void {
    const next = this.#strict.next(session)
    if (next !== undefined) this.#handIn(next)
  }

  #drop(handling: Handling): void {
    if (!this.#inHand.delete(handling)) return
    handling.lane.inHand--
    handling.lane.wake?.()
    if (this.#inHand.size === 0) this.#emptied?.resolve()
  }

  #take(lane: LaneState, leased: Leased): void {
    if (this.#paused) {
      this.#watch(leased.nack({ count: false }), undefined)
      return
    }
    const story = readStory(leased.note)
    if ((story.only !== undefined && story.only !== this.group) || !this.wants(leased.message)) {
      this.#watch(leased.settle('skipped'), undefined)
      return
    }
    const sureMs = leased.sureUntilMs ?? this.#host.env.monotonicMs() + this.channel.policy.ackWaitMs
    if (leased.attempt > 1) for (const one of this.#inHand) if (one.adopts(lane, leased, sureMs)) return
    const account = this.#host.accountOf(leased.message.topic)
    const handling = new Handling(this, lane, leased, story, account, this.channel.policy, sureMs)
    this.#inHand.add(handling)
    lane.inHand++
    this.renewal.begin()
    const { session } = leased.message
    if (leased.attempt > handling.retry.attempts) {
      this.#watch(this.#grave.buryExhausted(handling), handling)
      if (session !== undefined) this.halts.halt(session)
      this.#drop(handling)
      return
    }
    if (this.#strict.enter(handling)) return
    this.#handIn(handling)
  }

  #handIn(handling: Handling): void {
    const { queue } = this.#what
    const { message, leased } = handling
    const { session } = message
    if (session !== undefined && leased.dueInMs > 0 && handling.attempt === leased.attempt && !handling.wasStarted) {
      // Its former holder died while it waited: its session waits on.
      holdSession(queue, session)
      handling.lane.held++
      handling.timer = this.#host.env.after(leased.dueInMs, () => this.#tryAgain(handling))
    } else if (session !== undefined && handling.story.only === this.group && this.halts.lift(session)) {
      tryAgain(queue, message)
    } else queue.admit(message)
  }

  /** A settlement that the log refuses leaves the message as it was: it will be handed out again. */
  #watch(settlement: Promise<boolean>, handling: Handling | undefined): void {
    settlement.catch((error: unknown) => this.#failed(handling, error))
  }

  #failed(handling: Handling | undefined, error: unknown): void {
    if (isBusError(error, 'BUS_CLOSED')) return
    this.#host.announce('log.failed', { stream: handling?.lane.stream, group: this.group, error })
  }
}
