import type { Envelope } from '../message/message.ts'
import { LANE_OF } from '../message/priority.ts'
import type { Crew } from './crew.ts'
import { Lanes, NO_RANK } from './lanes.ts'
import { Lines } from './lines.ts'

// Hot path: written for the machine. What plain subscriptions do not use is made on demand.

/** A message of a session has come. */
const SAW_SESSION = 1
/** Its messages may be held: then sessions have lines also where only one message runs at a time. */
const HOLDS = 2

/** The messages of one queue that wait, in the order in which they go: urgent ones, then by lane, sessions in line. */
export class Backlog {
  readonly #lanes: Lanes<Envelope>
  readonly #crew: Crew
  #lines: Lines | undefined = undefined
  /** {@link SAW_SESSION}, {@link HOLDS}: one field, for there may be ten thousand of these. */
  #flags: number
  /** Handed out before everything else, whoever is busy: nested requests that would wait for ever. */
  #urgent: Envelope[] | undefined = undefined

  constructor(crew: Crew, overtaking: number, holds: boolean) {
    this.#crew = crew
    this.#flags = holds ? HOLDS : 0
    this.#lanes = new Lanes<Envelope>(overtaking)
  }

  /** True for a queue that gets what is kept out of the log, not from its publisher. */
  get holds(): boolean {
    return (this.#flags & HOLDS) !== 0
  }

  /** How many messages of higher levels may pass one. */
  get overtaking(): number {
    return this.#lanes.bound
  }

  get size(): number {
    const { size } = this.#lanes
    return this.#lines === undefined && this.#urgent === undefined ? size : size + this.#sizeElsewhere()
  }

  /** Messages of one lane that wait behind their sessions. */
  parkedIn(lane: number): number {
    return this.#lines?.parkedIn(lane) ?? 0
  }

  /** Nothing of the session goes until the message that is held comes by {@link again}, or {@link release}. */
  hold(session: string): void {
    if (this.#lines === undefined) this.#beginLines()
    this.#lines?.hold(session)
  }

  release(session: string): void {
    this.#lines?.ended(session)
  }

  /** The message for which its session is held goes next. */
  again(message: Envelope): void {
    this.#lines?.again(message)
  }

  /** True when nothing but the lanes says what goes next. */
  get isPlain(): boolean {
    return this.#lines === undefined && this.#urgent === undefined
  }

  /** Takes the next message out of the lanes, whoever is busy; right only while {@link isPlain}. */
  takePlain(): Envelope | undefined {
    return this.#lanes.take()
  }

  get hasUrgent(): boolean {
    return this.#urgent !== undefined
  }

  push(message: Envelope): void {
    const { priority } = message
    this.#lanes.push(priority === 'normal' ? 2 : LANE_OF[priority], message)
    if (message.session !== undefined && (this.#flags & SAW_SESSION) === 0) this.#beginLines()
  }

  urge(message: Envelope): void {
    this.#urgent ??= []
    this.#urgent.push(message)
  }

  /** The members have changed: sessions need lines only where several messages may be handled at once. */
  crewChanged(): void {
    if ((this.#flags & SAW_SESSION) !== 0) this.#beginLines()
  }

  /** A message of the session is being handled, beyond the return of its handler. */
  started(session: string | undefined): void {
    if (this.#lines !== undefined) this.#lines.started(session)
  }

  /** That message is over. */
  ended(session: string | undefined): void {
    if (this.#lines !== undefined) this.#lines.ended(session)
  }

  /** A message that was taken was over at once: its line goes on. */
  skipped(session: string | undefined): void {
    if (this.#lines !== undefined) this.#lines.skipped(session)
  }

  /** Takes the next message that may be handled now; undefined when none may. */
  next(): Envelope | undefined {
    if (this.#urgent !== undefined) return this.#takeUrgent()
    if (this.#lines !== undefined) return this.#nextInLine(this.#lines)
    return this.#crew.running === 0 || this.#crew.hasRoom(false) ? this.#lanes.take() : undefined
  }

  /** Takes the next message whatever sessions are busy: for taking by hand and for clearing. */
  takeAny(): Envelope | undefined {
    return this.#takeUrgent() ?? this.#lines?.takeAgain() ?? this.#lanes.take() ?? this.#takeParked()
  }

  /** Takes the oldest message of the lowest level, if that level is not above `lane`. */
  takeLowest(lane: number): Envelope | undefined {
    const inLanes = this.#lanes.lowestLane()
    const parked = this.#lines?.lowestLane() ?? -1
    const lowest = Math.max(inLanes, parked)
    if (lowest < lane) return undefined
    // Within a level what is parked is older.
    return parked === lowest ? this.#lines?.takeOldest(lowest) : this.#lanes.takeFrom(lowest)
  }

  #nextInLine(lines: Lines): Envelope | undefined {
    while (this.#crew.hasRoom(true)) {
      const again = lines.takeAgain()
      if (again !== undefined) return again
      const fresh = this.#lanes.rank()
      const ready = lines.rank()
      if (fresh === NO_RANK && ready === NO_RANK) return undefined
      // What was parked is older, so it goes first within a level.
      const message = ready <= fresh ? lines.takeReady() : this.#takeFresh(lines)
      if (message === undefined) continue
      const lane = LANE_OF[message.priority]
      this.#lanes.pass(lane)
      lines.pass(lane)
      return message
    }
    return undefined
  }

  /** Takes the next message out of the lanes; parks it, and returns nothing, when its session is busy. */
  #takeFresh(lines: Lines): Envelope | undefined {
    const lane = this.#lanes.nextLane()
    const passed = this.#lanes.passedOf(lane)
    const message = this.#lanes.takeFrom(lane) as Envelope
    if (!lines.mustWait(message)) return message
    lines.park(message, passed)
    return undefined
  }

  #takeUrgent(): Envelope | undefined {
    const message = this.#urgent?.shift()
    if (this.#urgent?.length === 0) this.#urgent = undefined
    return message
  }

  #takeParked(): Envelope | undefined {
    if (this.#lines === undefined || this.#lines.parked === 0) return undefined
    for (const one of this.#lines.takeAll()) this.#lanes.push(LANE_OF[one.priority], one)
    return this.#lanes.take()
  }

  #beginLines(): void {
    this.#flags |= SAW_SESSION
    const { members } = this.#crew
    const serial = members.length === 0 || (members.length === 1 && members[0]!.concurrency === 1)
    if (this.#lines !== undefined || (serial && (this.#flags & HOLDS) === 0)) return
    this.#lines = new Lines(this.overtaking, () => this.#crew.hasRoom(false))
    for (const { delivery } of this.#crew.runs()) this.#lines.started(delivery?.session)
  }

  #sizeElsewhere(): number {
    return (this.#lines?.waiting ?? 0) + (this.#urgent?.length ?? 0)
  }
}
