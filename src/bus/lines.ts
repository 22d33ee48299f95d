import type { Envelope } from '../message/message.ts'
import { LANE_COUNT, LANE_OF } from '../message/priority.ts'
import { Lanes } from './lanes.ts'

/** The key of messages without a session: they are one line of their own. */
export const NO_SESSION = ''

/** One session inside one queue: at most one of its messages is handled at a time, the others wait here in order. */
export class Line {
  readonly key: string
  running = 0
  readonly parked: Lanes<Envelope>
  /** Listed among the lines that may go on. */
  listed = false

  constructor(key: string, overtaking: number) {
    this.key = key
    this.parked = new Lanes<Envelope>(overtaking)
  }
}

/**
 * Order inside sessions, parallelism between them. Messages leave the queue's lanes in order; one whose session is busy is parked in
 * the session's line, and goes before anything of the same session and lane that left the lanes later.
 */
export class Lines {
  readonly #lines = new Map<string, Line>()
  readonly #ready: Lanes<Line>
  readonly #overtaking: number
  readonly #looseRoom: () => boolean
  #parked = 0
  /** Messages whose time to be tried again has come. */
  readonly #again: Envelope[] = []
  readonly #parkedIn = [0, 0, 0, 0, 0]

  /** `looseRoom` says whether a message without a session may be handled now. */
  constructor(overtaking: number, looseRoom: () => boolean) {
    this.#overtaking = overtaking
    this.#looseRoom = looseRoom
    this.#ready = new Lanes<Line>(overtaking)
  }

  /** Messages that wait here. */
  get waiting(): number {
    return this.#parked + this.#again.length
  }

  /** Messages parked in all lines. */
  get parked(): number {
    return this.#parked
  }

  /** Messages of one lane that are parked. */
  parkedIn(lane: number): number {
    return this.#parkedIn[lane] as number
  }

  /** Sessions that have something running or parked. */
  get size(): number {
    return this.#lines.size
  }

  /** How urgent the best parked message is that may go on. */
  rank(): number {
    return this.#ready.rank()
  }

  /** A message of `lane` was handed out. */
  pass(lane: number): void {
    this.#ready.pass(lane)
  }

  /** True when the message must wait behind its session. */
  mustWait(message: Envelope): boolean {
    const line = this.#lines.get(message.session ?? NO_SESSION)
    if (line === undefined) return message.session === undefined && !this.#looseRoom()
    return !this.#mayGo(line) || line.parked.sizeOf(LANE_OF[message.priority]) > 0
  }

  /** `passed`: how often it was passed by higher ones so far. */
  park(message: Envelope, passed: number): void {
    const line = this.#line(message.session ?? NO_SESSION)
    const lane = LANE_OF[message.priority]
    line.parked.push(lane, message, passed)
    this.#parked++
    this.#parkedIn[lane]!++
    if (this.#mayGo(line)) this.#list(line)
  }

  /** Takes the best parked message of a line that has nothing running. */
  takeReady(): Envelope | undefined {
    for (;;) {
      const lane = this.#ready.nextLane()
      const line = this.#ready.takeFrom(lane)
      if (line === undefined) return undefined
      line.listed = false
      if (!this.#mayGo(line)) continue
      const message = line.parked.take()
      if (message === undefined) {
        this.#lines.delete(line.key)
        continue
      }
      this.#left(message)
      // The line of messages without a session may have room for more than one.
      if (line.key === NO_SESSION) this.#list(line)
      return message
    }
  }

  /** Messages without a session are counted by their members, not here. */
  started(session: string | undefined): void {
    if (session !== undefined) this.#line(session).running++
  }

  ended(session: string | undefined): void {
    if (session !== undefined) {
      const line = this.#lines.get(session)
      if (line !== undefined) line.running--
    }
    this.skipped(session)
  }

  /** The line of a message that was taken goes on, or goes away. */
  skipped(session: string | undefined): void {
    const key = session ?? NO_SESSION
    const line = this.#lines.get(key)
    if (line === undefined) return
    if (line.parked.size > 0) this.#list(line)
    else if (line.running === 0) this.#lines.delete(key)
  }

  /** The lowest level that waits in any line; -1 for none. */
  lowestLane(): number {
    let lowest = -1
    for (const line of this.#lines.values()) lowest = Math.max(lowest, line.parked.lowestLane())
    return lowest
  }

  /** Takes the oldest message of a level out of whatever line it waits in. */
  takeOldest(lane: number): Envelope | undefined {
    let oldest: Line | undefined
    for (const line of this.#lines.values()) {
      const head = line.parked.peekFrom(lane)
      // Ids sort by the order of publishing.
      if (head !== undefined && (oldest === undefined || head.id < (oldest.parked.peekFrom(lane) as Envelope).id))
        oldest = line
    }
    const message = oldest?.parked.takeFrom(lane)
    if (message === undefined) return undefined
    this.#left(message)
    this.skipped(message.session)
    return message
  }

  /** Empties every line; the messages come level by level. */
  takeAll(): Envelope[] {
    const all: Envelope[] = []
    for (const [key, line] of this.#lines) {
      for (let lane = 0; lane < LANE_COUNT; lane++) {
        for (let one = line.parked.takeFrom(lane); one !== undefined; one = line.parked.takeFrom(lane)) all.push(one)
      }
      line.listed = false
      if (line.running === 0) this.#lines.delete(key)
    }
    this.#ready.clear()
    for (const one of all) this.#left(one)
    return all
  }

  /** A message will be tried again later: nothing else of its session goes meanwhile. */
  hold(session: string): void {
    this.#line(session).running++
  }

  /** The message for which its session is held goes next. */
  again(message: Envelope): void {
    this.#again.push(message)
  }

  /** Takes such a message: it counts as running from its start on, as any other. */
  takeAgain(): Envelope | undefined {
    const message = this.#again.length === 0 ? undefined : this.#again.shift()
    const line = message?.session === undefined ? undefined : this.#lines.get(message.session)
    if (line !== undefined) line.running--
    return message
  }

  #left(message: Envelope): void {
    this.#parked--
    this.#parkedIn[LANE_OF[message.priority]]!--
  }

  #mayGo(line: Line): boolean {
    return line.key === NO_SESSION ? this.#looseRoom() : line.running === 0
  }

  #line(key: string): Line {
    let line = this.#lines.get(key)
    if (line === undefined) {
      line = new Line(key, this.#overtaking)
      this.#lines.set(key, line)
    }
    return line
  }

  #list(line: Line): void {
    if (line.listed || line.parked.size === 0) return
    line.listed = true
    const lane = line.parked.nextLane()
    this.#ready.push(lane, line, line.parked.passedOf(lane))
  }
}
