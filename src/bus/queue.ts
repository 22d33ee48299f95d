import { BusError } from '../kit/errors.ts'
import { Envelope } from '../message/message.ts'
import { laneOf, type Priority } from '../message/priority.ts'
import type { Account } from './account.ts'
import type { FailureReason, Outcome } from './ack.ts'
import { Backlog } from './backlog.ts'
import { Crew } from './crew.ts'
import { Delivery, type DeliveryOwner, type Note, Run } from './delivery.ts'
import { invoke } from './invoke.ts'
import type { Member } from './member.ts'
import { whyOver } from './over.ts'
import type { HostOf } from './queue-host.ts'
import { type Limits, type Overflowed, Room, type RoomOwner } from './room.ts'

// Hot path: written for the machine. Everything that a plain subscription does not use is made on demand.

/** Messages one queue may hand out before the others get their turn. */
const TURN = 64

/** What a queue needs from the bus around it. */
export type QueueHost = HostOf<Queue>

/** Who takes messages by hand; false when it has given up meanwhile. */
export type Receiver = { take(message: Envelope): boolean }

/**
 * Where messages wait for one subscription, one agent, or the members of one group, and from where they are handed out: highest lane
 * first, sessions in order, one at a time or as many as the members allow.
 */
export class Queue implements DeliveryOwner, RoomOwner {
  readonly host: QueueHost
  readonly name: string
  limits: Limits
  /** Made when the queue first comes to its limits. */
  #room: Room | undefined = undefined
  readonly #crew = new Crew()
  readonly #backlog: Backlog
  #receivers: Receiver[] | undefined = undefined
  #dispatching = false
  scheduled = false
  closed = false
  enqueued = 0
  dequeued = 0
  dropped = 0
  maxSize = 0
  /** Handled messages of the level normal, and of all levels but that. */
  handledNormal = 0
  handledByLane: number[] | undefined = undefined
  /** Whole monotonic milliseconds, which take no room of their own; below zero before the first. */
  lastHandledMs = -1
  /** Whole monotonic milliseconds of the last progress: a message came into an empty queue, or one was settled. */
  progressMs: number

  constructor(host: QueueHost, name: string, limits: Limits, overtaking: number, holds: boolean = false) {
    this.host = host
    this.name = name
    this.limits = limits
    this.#backlog = new Backlog(this.#crew, overtaking, holds)
    this.progressMs = Math.floor(host.clock.lastMs)
  }

  get clock(): QueueHost['clock'] {
    return this.host.clock
  }

  get wheel(): QueueHost['wheel'] {
    return this.host.wheel
  }

  /** The figures of what happened at the limits; undefined while the queue never came to them. */
  get pressure(): Room | undefined {
    return this.#room
  }

  get #limitsMet(): Room {
    this.#room ??= new Room(this, this.#backlog.overtaking)
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
    return this.#backlog.size
  }

  get running(): number {
    return this.#crew.running
  }

  get members(): readonly Member[] {
    return this.#crew.members
  }

  /** Deliveries being handled now, newest first. */
  *runs(): IterableIterator<Delivery> {
    for (const { delivery } of this.#crew.runs()) if (delivery !== undefined) yield delivery
  }

  join(member: Member): void {
    this.#crew.join(member)
    this.#backlog.crewChanged()
    this.host.schedule(this)
  }

  /** False when the member was not there. */
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

  /** Messages of one lane that wait behind their sessions. */
  parkedIn(lane: number): number {
    return this.#backlog.parkedIn(lane)
  }

  /** Nothing of the session goes until {@link again} or {@link release}. */
  hold(session: string): void {
    this.#backlog.hold(session)
  }

  release(session: string): void {
    this.#backlog.release(session)
    this.host.schedule(this)
  }

  /** Tries a message again for which its session was held. */
  again(message: Envelope): void {
    this.#backlog.again(message)
    this.host.schedule(this)
  }

  /** Takes a message in that must not wait, whatever is running: it breaks a cycle of waiting. */
  urge(message: Envelope): void {
    ;(Envelope.accountOf(message) as Account).accept()
    this.enqueued++
    this.#backlog.urge(message)
    this.host.schedule(this)
  }

  /** True when a message would be handled now, without waiting for anything that runs. */
  couldStart(session: string | undefined): boolean {
    if (this.size > 0) return false
    if (this.#receivers !== undefined && this.#receivers.length > 0) return true
    if (!this.#crew.hasRoom(session !== undefined)) return false
    for (const one of this.runs()) if (session !== undefined && one.session === session) return false
    return true
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
    for (;;) {
      const message = this.#takeAny()
      if (message === undefined) return undefined
      if (!this.#isOver(message)) return this.#handOut(message)
    }
  }

  /** Puts a receiver in line for the next message; the returned function takes it out again. */
  await(receiver: Receiver): () => void {
    this.#receivers ??= []
    this.#receivers.push(receiver)
    return () => {
      const at = this.#receivers?.indexOf(receiver) ?? -1
      if (at >= 0) this.#receivers?.splice(at, 1)
    }
  }

  dropLowest(lane: number): boolean {
    const message = this.#backlog.takeLowest(lane)
    if (message === undefined) return false
    this.drop(message, 'queue-full')
    return true
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
    run.delivery = delivery
    delivery.run = run
    const { session } = delivery
    this.#crew.begin(run, delivery.member, session !== undefined)
    this.#backlog.started(session)
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
    const { message, run, session } = delivery
    // Decided before the session's line goes on: a message that is tried again keeps its place.
    const held = outcome === 'failed' && this.#isHeld(delivery, reason as FailureReason, error)
    if (run !== undefined) {
      this.#crew.end(run, delivery.member, session !== undefined)
      run.release(this.host)
      delivery.run = undefined
      if (!held) this.#backlog.ended(session)
      this.host.ended()
      if (this.closed && this.#crew.running === 0) this.host.leaving.delete(this)
    } else if (held) this.#backlog.hold(session as string)
    else this.#backlog.skipped(session)
    this.#noteEnd(message, delivery.startedMs, this.host.clock.nowMs(), outcome === 'handled')
    if (!held) this.host.settle(this, message, outcome, value, reason, error, delivery)
    if (!this.#dispatching && !this.scheduled && this.size > 0) this.host.resume(this)
  }

  #isHeld(delivery: Delivery, reason: FailureReason, error: unknown): boolean {
    if (delivery.session === undefined || this.closed) return false
    const note = Envelope.noteOf(delivery.message) as Note | undefined
    return note?.hold?.(delivery, reason, error) === true
  }

  #handOutTurn(): void {
    const { clock, pump } = this.host
    const backlog = this.#backlog
    let handed = 0
    // Set while a reading of the clock is newer than everything that happened since.
    let nowMs = -1
    for (; handed < TURN; handed++) {
      if (this.#crew.isEmpty) break
      if (backlog.size === 0 || (!pump.hasRoom && !backlog.hasUrgent && !pump.mayStart(this))) break
      const message = backlog.next()
      if (message === undefined) break
      if (this.#room !== undefined) this.#room.shrank(backlog.size)
      if (Envelope.mayBeOver(message) && this.#isOver(message)) continue
      const startedMs = nowMs < 0 ? clock.nowMs() : nowMs
      if (this.#start(message, startedMs)) {
        nowMs = clock.nowMs()
        this.#noteEnd(message, startedMs, nowMs, true)
      } else nowMs = -1
    }
    pump.sinceTurn += handed
    if (handed === TURN && backlog.size > 0) this.host.schedule(this)
  }

  #accept(message: Envelope, size: number): void {
    ;(Envelope.accountOf(message) as Account).accept()
    this.enqueued++
    if (size > this.maxSize) this.maxSize = size
    if (size === 1 && this.#crew.running === 0) this.progressMs = Math.floor(this.host.clock.lastMs)
    this.#backlog.push(message)
    if (size > this.limits.highMark) this.#limitsMet.grew(size)
    if (this.#crew.isEmpty) this.#feed()
    else if (!this.scheduled && !this.#dispatching && (this.#crew.running === 0 || this.#crew.hasRoom(true))) {
      this.host.schedule(this)
    }
  }

  #takeAny(): Envelope | undefined {
    const message = this.#backlog.takeAny()
    if (message !== undefined) this.#room?.shrank(this.size)
    return message
  }

  /** True when the message was handled at once, without a word. */
  #start(message: Envelope, nowMs: number): boolean {
    ;(Envelope.accountOf(message) as Account).channel.latency.record(nowMs - Envelope.publishedMs(message))
    this.dequeued++
    const own = Envelope.isLoose(message) ? Envelope.ownCopy(message) : message
    const delivery = new Delivery(this, this.#crew.choose(message.session !== undefined), own, nowMs)
    const note = Envelope.noteOf(message) as Note | undefined
    if (note !== undefined) note.started(delivery)
    if (!invoke(delivery)) return false
    delivery.ended = true
    this.#backlog.skipped(delivery.session)
    this.host.settle(this, message, 'handled', undefined, undefined, undefined, delivery)
    return true
  }

  #noteEnd(message: Envelope, startedMs: number, nowMs: number, handled: boolean): void {
    this.progressMs = Math.floor(nowMs)
    ;(Envelope.accountOf(message) as Account).channel.handling.record(nowMs - startedMs)
    if (handled) this.#noteHandled(message.priority, this.progressMs)
  }

  #noteHandled(priority: Priority, wholeMs: number): void {
    this.lastHandledMs = wholeMs
    if (priority === 'normal') this.handledNormal++
    else {
      this.handledByLane ??= [0, 0, 0, 0, 0]
      this.handledByLane[laneOf(priority)]!++
    }
  }

  /** Settles a message that must not be handled any more; false when it may. */
  #isOver(message: Envelope): boolean {
    const over = whyOver(message, this.host.clock.nowMs(), this.name)
    if (over === undefined) return false
    this.#backlog.skipped(message.session)
    if (over.outcome === 'dropped') this.drop(message, over.reason, over.error)
    else this.host.settle(this, message, over.outcome, undefined, over.reason, over.error, undefined)
    return true
  }

  #handOut(message: Envelope): Envelope {
    const nowMs = this.host.clock.nowMs()
    const account = Envelope.accountOf(message) as Account
    account.channel.latency.record(nowMs - Envelope.publishedMs(message))
    this.dequeued++
    this.progressMs = Math.floor(nowMs)
    this.#noteHandled(message.priority, this.progressMs)
    this.host.settle(this, message, 'handled', undefined, undefined, undefined, undefined)
    return Envelope.isLoose(message) ? Envelope.ownCopy(message) : message
  }

  /** Gives waiting messages to waiting receivers. */
  #feed(): void {
    while (this.#receivers !== undefined && this.#receivers.length > 0) {
      const message = this.poll()
      if (message === undefined) return
      // A receiver leaves the line before it gives up, so the first one always takes.
      this.#receivers.shift()?.take(message)
    }
  }
}
