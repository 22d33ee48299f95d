import { laneOf, type Priority } from '../message/priority.ts'
import type { Delivery, Run } from './delivery.ts'
import type { Member } from './member.ts'

// Hot path. Who may handle the messages of a queue, and what they have in hand.

const NOBODY: readonly Member[] = Object.freeze([])

/** What the members of a queue have handled. */
export interface Handled {
  /** Messages of the level normal, and of all levels but that. */
  readonly handledNormal: number
  readonly handledByLane: readonly number[] | undefined
  /** Whole monotonic milliseconds, which take no room of their own; below zero before the first. */
  readonly lastHandledMs: number
}

/** The members of a queue, and the list of their running handlers. */
export class Crew implements Handled {
  members: readonly Member[] = NOBODY
  /** The only member; undefined when there are none or several. */
  only: Member | undefined = undefined
  running = 0
  handledNormal = 0
  handledByLane: number[] | undefined = undefined
  lastHandledMs = -1
  #next = 0
  #runs: Run | undefined = undefined

  get isEmpty(): boolean {
    return this.only === undefined && this.members.length === 0
  }

  join(member: Member): void {
    this.members = [...this.members, member]
    this.only = this.members.length === 1 ? member : undefined
  }

  /** False when the member was not there. */
  leave(member: Member): boolean {
    const before = this.members.length
    this.members = this.members.filter((one) => one !== member)
    this.only = this.members.length === 1 ? this.members[0] : undefined
    this.#next = 0
    return this.members.length < before
  }

  /** True when some member could take one more message, in a session or without one. */
  hasRoom(inSession: boolean): boolean {
    if (this.only !== undefined) return this.only.hasRoom(inSession)
    const { members } = this
    for (let index = 0; index < members.length; index++) if (members[index]!.hasRoom(inSession)) return true
    return false
  }

  /** True when a message would be handled now: there is room, and its session is not being handled. */
  couldStart(session: string | undefined): boolean {
    if (!this.hasRoom(session !== undefined)) return false
    for (const { delivery } of this.runs()) if (session !== undefined && delivery?.session === session) return false
    return true
  }

  /** Round robin among the members that have room; a message that breaks a cycle goes to any. */
  choose(inSession: boolean): Member {
    if (this.only !== undefined) return this.only
    const { members } = this
    for (let step = 0; step < members.length; step++) {
      const member = members[(this.#next + step) % members.length]!
      if (!member.hasRoom(inSession)) continue
      this.#next = (this.#next + step + 1) % members.length
      return member
    }
    return members[this.#next % members.length]!
  }

  begin(run: Run, member: Member, inSession: boolean): void {
    const first = this.#runs
    run.next = first
    run.previous = undefined
    if (first !== undefined) first.previous = run
    this.#runs = run
    this.running++
    member.running++
    if (!inSession) member.loose++
  }

  end(run: Run, member: Member, inSession: boolean): void {
    const { next, previous } = run
    if (previous === undefined) this.#runs = next
    else previous.next = next
    if (next !== undefined) next.previous = previous
    run.next = undefined
    run.previous = undefined
    this.running--
    member.running--
    if (!inSession) member.loose--
  }

  /** A member goes on with its next message in the place of the one that has ended. */
  exchange(run: Run, ended: Delivery, next: Delivery): void {
    ended.run = undefined
    run.serve(next)
    if (ended.session === next.session) return
    if (ended.session === undefined) next.member.loose--
    else if (next.session === undefined) next.member.loose++
  }

  noteHandled(priority: Priority, wholeMs: number): void {
    this.lastHandledMs = wholeMs
    if (priority === 'normal') this.handledNormal++
    else {
      this.handledByLane ??= [0, 0, 0, 0, 0]
      this.handledByLane[laneOf(priority)]!++
    }
  }

  /** What is running now, newest first. */
  *runs(): IterableIterator<Run> {
    for (let one = this.#runs; one !== undefined; one = one.next) yield one
  }
}
