import { BusError } from '../kit/errors.ts'
import { Envelope } from '../message/message.ts'
import type { Account } from './account.ts'
import type { FailureReason, Outcome } from './ack.ts'
import { Backlog } from './backlog.ts'
import { Crew, type Handled } from './crew.ts'
import { Delivery, type DeliveryOwner, isHeld, type Note, Run } from './delivery.ts'
import { invoke } from './invoke.ts'
import type { Member } from './member.ts'
import { whyOver } from './over.ts'
import type { QueueHost } from './queue-host.ts'
import { type Receiver, Receivers } from './receivers.ts'
import { type Limits, type Overflowed, Room, type RoomOwner } from './room.ts'

// Hot path: written for the machine. Everything that a plain subscription does not use is made on demand.

/** Messages one queue may hand out before the others get their turn. */
const TURN = 64

/**
 * Where messages wait for one subscription, one agent, or the members of one group, and from where they are handed out: highest lane
 * first, sessions in order, one at a time or as many as the members allow.
 */
export class Queue implements DeliveryOwner, RoomOwner {
  readonly host: QueueHost<Queue>
  readonly name: string
  limits: Limits
  /** Made when the queue first comes to its limits. */
  #room: Room | undefined = undefined
  readonly #crew = new Crew()
  /** What waits; `held.ts` holds sessions in it. */
  readonly backlog: Backlog
  #receivers: Receivers | undefined = undefined
  #dispatching = false
  scheduled = false
  closed = false
  enqueued = 0
  dequeued = 0
  dropped = 0
  maxSize = 0
  /** Whole monotonic milliseconds of the last progress: a message came into an empty queue, or one was settled. */
  progressMs: number

  constructor(host: QueueHost<Queue>, name: string, limits: Limits, overtaking: number, holds: boolean = false) {
    this.host = host
    this.name = name
    this.limits = limits
    this.backlog = new Backlog(this.#crew, overtaking, holds)
    this.progressMs = Math.floor(host.clock.lastMs)
  }

  get clock(): QueueHost<Queue>['clock'] {
    return this.host.clock
  }

  get wheel(): QueueHost<Queue>['wheel'] {
    return this.host.wheel
  }

  /** The figures of what happened at the limits; undefined while the queue never came to them. */
  get pressure(): Room | undefined {
    return this.#room
  }

  get #limitsMet(): Room {
    this.#room ??= new Room(this, this.backlog.overtaking)
    return this.#room
  }

  /** Publishers that wait for room are refused. */
  closeRoom(error: BusError): void {
    this.#room?.close(error)
  }

  /** Milliseconds by which publishers are slowed now. */
  get slowingMs(): number {
    return this.#room === undefined ? 0 : this.#room.slowingMs
  }

  /** Other limits from now on; what waits stays, and whoever waits for room is looked at again. */
  resize(limits: Limits): void {
    this.limits = limits
    this.#room?.shrank(this.size)
  }

  /** Messages that wait. */
  get size(): number {
    return this.backlog.size
  }

  get running(): number {
    return this.#crew.running
  }

  get members(): readonly Member[] {
    return this.#crew.members
  }

  /** How much was handled, and when last. */
  get handled(): Handled {
    return this.#crew
  }

  /** Deliveries being handled now, newest first. */
  *runs(): IterableIterator<Delivery> {
    for (const { delivery } of this.#crew.runs()) if (delivery !== undefined) yield delivery
  }

  join(member: Member): void {
    this.#crew.join(member)
    this.backlog.crewChanged()
    this.host.schedule(this)
  }

  leave(member: Member): boolean {
    return this.#crew.leave(member)
  }

  /** Takes a message in; false when there is no room and {@link overflow} must decide. */
  offer(message: Envelope): boolean {
    const size = this.size
    if (size >= this.limits.limit || (this.#room !== undefined && this.#room.waiting > 0)) return false
    this.#accept(message, size + 1)
    return true
  }

  /** Decides about a message that `offer` did not take. */
  overflow(message: Envelope): Overflowed {
    const decided = this.#limitsMet.full(message, this.host.clock.nowMs())
    if (decided.type === 'made-room') this.#accept(message, this.size + 1)
    else if (decided.type === 'dropped') {
      ;(Envelope.accountOf(message) as Account).accept()
      this.enqueued++
      this.drop(message, 'queue-full')
    }
    return decided
  }

  admit(message: Envelope): void {
    this.#accept(message, this.size + 1)
  }

  /** Takes a message in that must not wait, whatever is running: it breaks a cycle of waiting. */
  urge(message: Envelope): void {
    ;(Envelope.accountOf(message) as Account).accept()
    this.enqueued++
    this.backlog.urge(message)
    this.host.schedule(this)
  }

  /** True when a message would be handled now, without waiting for anything that runs. */
  couldStart(session: string | undefined): boolean {
    if (this.size > 0) return false
    return this.#receivers?.isWaiting || this.#crew.couldStart(session)
  }

  /** Hands out until nothing can start; handlers that end meanwhile are met by the loop that is running. */
  dispatch(): void {
    if (this.#dispatching) return
    this.scheduled = false
    this.#dispatching = true
    try {
      this.#handOutTurn()
    } finally {
      this.#dispatching = false
    }
  }

  /** Takes the next message by hand; undefined when none waits. */
  poll(): Envelope | undefined {
    let message = this.#takeAny()
    while (message !== undefined && this.#isOver(message)) message = this.#takeAny()
    return message === undefined ? undefined : this.#handOut(message)
  }

  /** Puts a receiver in line for the next message; the returned function takes it out again. */
  await(receiver: Receiver): () => void {
    this.#receivers ??= new Receivers()
    return this.#receivers.add(receiver)
  }

  dropLowest(lane: number): boolean {
    const message = this.backlog.takeLowest(lane)
    if (message !== undefined) this.drop(message, 'queue-full')
    return message !== undefined
  }

  /** Settles a waiting message as dropped. */
  drop(message: Envelope, reason: FailureReason, error?: BusError): void {
    this.dropped++
    const why = error ?? new BusError('MESSAGE_DROPPED', `dropped from the queue of "${this.name}": ${reason}`)
    this.host.settle(this, message, 'dropped', undefined, reason, why, undefined)
  }

  /** Takes everything out that waits; each message is settled as dropped. Returns how many. */
  clear(reason: FailureReason, error?: BusError): number {
    let count = 0
    for (let one = this.#takeAny(); one !== undefined; one = this.#takeAny()) {
      this.drop(one, reason, error)
      count++
    }
    this.#room?.shrank(this.size)
    return count
  }

  /** Ends for good: what waits is dropped as "unregistered", publishers that wait for room are refused. */
  end(error: BusError): void {
    if (this.closed) return
    this.closed = true
    this.closeRoom(error)
    this.clear('unregistered', error)
    if (this.#crew.running > 0) this.host.leaving.add(this)
  }

  tellPressure(filled: boolean, size: number): void {
    this.host.pressure(this, filled, size)
  }

  count(delivery: Delivery): Run {
    if (delivery.run !== undefined) return delivery.run
    const run = this.host.runs.pop() ?? new Run()
    run.serve(delivery)
    const { session } = delivery
    this.#crew.begin(run, delivery.member, session !== undefined)
    this.backlog.started(session)
    this.host.started()
    return run
  }

  settled(
    delivery: Delivery,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
  ): void {
    const { message, run } = delivery
    if (run !== undefined && outcome === 'handled' && value === undefined && this.#goOn(delivery, run)) return
    // Decided before the session's line goes on: a message that is tried again keeps its place.
    const held = outcome === 'failed' && !this.closed && isHeld(delivery, reason, error)
    if (run !== undefined) this.#stopRun(delivery, run, held)
    else if (held) this.backlog.hold(delivery.session as string)
    else this.backlog.skipped(delivery.session)
    this.#noteEnd(message, delivery.startedMs, this.host.clock.nowMs(), outcome === 'handled')
    if (!held) this.host.settle(this, message, outcome, value, reason, error, delivery)
    if (!this.#dispatching && !this.scheduled && this.size > 0) this.host.resume(this)
  }

  #stopRun(delivery: Delivery, run: Run, held: boolean): void {
    this.#crew.end(run, delivery.member, delivery.session !== undefined)
    run.release(this.host)
    delivery.run = undefined
    if (!held) this.backlog.ended(delivery.session)
    this.host.ended()
    if (this.closed && this.#crew.running === 0) this.host.leaving.delete(this)
  }

  /** Where that was all in hand and nobody waits for it, its run serves the next message: it need not leave the lists and come back. */
  #goOn(delivery: Delivery, run: Run): boolean {
    if (this.#dispatching || this.scheduled || this.closed || this.#room !== undefined) return false
    const { host } = this
    const crew = this.#crew
    const { message, member } = delivery
    if (crew.running !== 1 || crew.only !== member || run.wheelSlot >= 0 || !Envelope.isPlain(message)) return false
    if (!this.backlog.isPlain || this.backlog.size === 0 || !host.isQuiet || !host.pump.mayGoOn) return false
    const next = this.backlog.takePlain() as Envelope
    const nowMs = host.clock.nowMs()
    this.#noteEnd(message, delivery.startedMs, nowMs, true)
    host.settlePlain(Envelope.accountOf(message) as Account)
    this.#dispatching = true
    try {
      if (Envelope.isPlain(next)) {
        ;(Envelope.accountOf(next) as Account).channel.latency.record(nowMs - Envelope.publishedMs(next))
        this.dequeued++
        const another = new Delivery(this, member, next, nowMs)
        crew.exchange(run, delivery, another)
        host.pump.wentOn()
        invoke(another)
      } else {
        this.#stopRun(delivery, run, false)
        this.#start(next)
      }
    } finally {
      this.#dispatching = false
    }
    if (this.size > 0 && !this.scheduled && (crew.hasRoom(false) || !this.backlog.isPlain)) host.resume(this)
    return true
  }

  #handOutTurn(): void {
    const { host } = this
    const { clock, pump } = host
    const crew = this.#crew
    let handed = 0
    // Set while a reading of the clock is newer than everything that happened since.
    let nowMs = -1
    for (; handed < TURN; handed++) {
      const { only } = crew
      const isFree = only !== undefined && crew.running === 0 && pump.hasRoom
      const isPlain = isFree && this.backlog.isPlain && this.#room === undefined
      const message = isPlain ? this.backlog.takePlain() : this.#next()
      if (message === undefined) break
      if (!isPlain || !Envelope.isPlain(message) || !host.isQuiet) {
        this.#start(message)
        nowMs = -1
        continue
      }
      // As in `#start`, without what such a message does not need.
      const startedMs = nowMs < 0 ? clock.nowMs() : nowMs
      const account = Envelope.accountOf(message) as Account
      account.channel.latency.record(startedMs - Envelope.publishedMs(message))
      this.dequeued++
      const delivery = new Delivery(this, only, message, startedMs)
      nowMs = -1
      if (!invoke(delivery)) continue
      delivery.ended = true
      this.backlog.skipped(delivery.session)
      nowMs = clock.nowMs()
      this.#noteEnd(message, startedMs, nowMs, true)
      host.settlePlain(account)
    }
    pump.sinceTurn += handed
    if (handed === TURN && this.size > 0) host.schedule(this)
  }

  /** Takes the next message that may be handed out now. */
  #next(): Envelope | undefined {
    const { pump } = this.host
    const { backlog } = this
    if (this.#crew.isEmpty || backlog.size === 0) return undefined
    if (!pump.hasRoom && !backlog.hasUrgent && !pump.mayStart(this)) return undefined
    const message = backlog.next()
    if (message !== undefined) this.#room?.shrank(backlog.size)
    return message
  }

  #accept(message: Envelope, size: number): void {
    ;(Envelope.accountOf(message) as Account).accept()
    this.enqueued++
    if (size > this.maxSize) this.maxSize = size
    if (size === 1 && this.#crew.running === 0) this.progressMs = Math.floor(this.host.clock.lastMs)
    this.backlog.push(message)
    if (size > this.limits.highMark) this.#limitsMet.grew(size)
    if (this.#crew.isEmpty) this.#receivers?.feed(this)
    else if (!this.scheduled && !this.#dispatching && (this.#crew.running === 0 || this.#crew.hasRoom(true))) {
      this.host.schedule(this)
    }
  }

  #takeAny(): Envelope | undefined {
    const message = this.backlog.takeAny()
    if (message !== undefined) this.#room?.shrank(this.size)
    return message
  }

  /** Hands one message out, unless it is over. */
  #start(message: Envelope): void {
    if (Envelope.mayBeOver(message) && this.#isOver(message)) return
    const { clock } = this.host
    const startedMs = clock.nowMs()
    ;(Envelope.accountOf(message) as Account).channel.latency.record(startedMs - Envelope.publishedMs(message))
    this.dequeued++
    const own = Envelope.isLoose(message) ? Envelope.ownCopy(message) : message
    const delivery = new Delivery(this, this.#crew.choose(message.session !== undefined), own, startedMs)
    const note = Envelope.noteOf(message) as Note | undefined
    if (note !== undefined) note.started(delivery)
    // True when the message was handled at once, without a word.
    if (!invoke(delivery)) return
    delivery.ended = true
    this.backlog.skipped(delivery.session)
    this.#noteEnd(message, startedMs, clock.nowMs(), true)
    this.host.settle(this, message, 'handled', undefined, undefined, undefined, delivery)
  }

  #noteEnd(message: Envelope, startedMs: number, nowMs: number, handled: boolean): void {
    this.progressMs = Math.floor(nowMs)
    ;(Envelope.accountOf(message) as Account).channel.handling.record(nowMs - startedMs)
    if (handled) this.#crew.noteHandled(message.priority, this.progressMs)
  }

  /** Settles a message that must not be handled any more; false when it may. */
  #isOver(message: Envelope): boolean {
    const over = whyOver(message, this.host.clock.nowMs(), this.name)
    if (over === undefined) return false
    this.backlog.skipped(message.session)
    if (over.outcome === 'dropped') this.drop(message, over.reason, over.error)
    else this.host.settle(this, message, over.outcome, undefined, over.reason, over.error, undefined)
    return true
  }

  #handOut(message: Envelope): Envelope {
    const nowMs = this.host.clock.nowMs()
    ;(Envelope.accountOf(message) as Account).channel.latency.record(nowMs - Envelope.publishedMs(message))
    this.dequeued++
    this.progressMs = Math.floor(nowMs)
    this.#crew.noteHandled(message.priority, this.progressMs)
    this.host.settle(this, message, 'handled', undefined, undefined, undefined, undefined)
    return Envelope.isLoose(message) ? Envelope.ownCopy(message) : message
  }
}
