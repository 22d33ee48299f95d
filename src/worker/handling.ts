import type { FailureReason, Outcome } from '../bus/ack.ts'
import type { Delivery, DeliveryOwner } from '../bus/delivery.ts'
import type { KeptNote } from '../bus/kept.ts'
import type { Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Delivery as Leased } from '../log/log.ts'
import { Envelope, type Message } from '../message/message.ts'
import type { RetryPolicy } from '../reliability/retry.ts'
import type { Policy } from './channel.ts'
import { modeOf, retryOf } from './mode.ts'
import { type Story, withAttempt, writeStory } from './record.ts'
import type { Renewal } from './renewal.ts'
import { isSuspicious, mustBeAlone, type Trial, type Trials } from './trials.ts'

const NOBODY: readonly DeliveryOwner[] = Object.freeze([])

/** Who is told what becomes of a handling, and decides. */
export interface Settler {
  /** Too old for the group. */
  isStale(message: Message): boolean
  readonly trials: Trials
  readonly renewal: Renewal<Handling>
  hold(handling: Handling, reason: FailureReason, error: unknown): boolean
  settled(
    handling: Handling,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
  ): boolean
}

/** One lane of a group: its stream, and how much of it is in hand. */
export interface LaneState {
  readonly index: number
  readonly stream: string
  inHand: number
  /** Of those, how many wait for another try, or behind their session outside of the queue. */
  held: number
  /** Lets the reader of the lane look whether there is room again. */
  wake: (() => void) | undefined
}

/** A message out of the log while a queue has it: from the hand-out until it is settled or given back. */
export class Handling implements KeptNote {
  leased: Leased
  readonly lane: LaneState
  readonly retry: RetryPolicy
  readonly message: Envelope
  readonly #settler: Settler
  readonly frame = undefined
  readonly awaited = undefined
  owners = NOBODY
  attempt: number
  story: Story
  /** What the handler works on; undefined while it waits. */
  running: Delivery | undefined = undefined
  /** A handler has had it: the newest one's name, and the monotonic milliseconds of its start. */
  wasStarted = false
  by: string | undefined = undefined
  startedMs: number | undefined = undefined
  /** Armed while it waits for another try. */
  timer: Timer | undefined = undefined
  /** Its place among those that may be what kills the process, until that is known. */
  #trial: Trial | undefined = undefined
  cancelled = false
  /** Settled already, while the queue still has it: it must not be handled any more. */
  over = false

  /** It must not be handled twice: its one attempt is used up before the handler starts. */
  readonly isOnce: boolean
  /** A consumer has taken it by hand, and works on it. */
  isTaken = false
  /** The attempt was used up in the log. */
  spent = false
  /** Monotonic milliseconds until which the lease lasts for sure. */
  leasedUntilMs: number
  /** The lease ran out while the handler runs: what becomes of it is of no interest any more. */
  lost = false

  constructor(
    settler: Settler,
    lane: LaneState,
    leased: Leased,
    story: Story,
    account: object,
    policy: Policy,
    leasedUntilMs: number,
  ) {
    this.#settler = settler
    this.lane = lane
    this.leased = leased
    this.story = story
    this.retry = retryOf(policy, leased.message)
    this.isOnce = modeOf(policy, leased.message) === 'at-most-once'
    this.attempt = leased.attempt
    this.leasedUntilMs = leasedUntilMs
    this.message = Envelope.forGroup(leased.message as Envelope, account, this)
  }

  isStale(): boolean {
    return !this.over && this.#settler.isStale(this.message)
  }

  /** It is in the queue, or in line before it, and no handler has it. */
  get waits(): boolean {
    return this.running === undefined && !this.over && !this.isTaken
  }

  noteAttempt(wallMs: number, error: unknown, counts: boolean): void {
    this.story = withAttempt(this.story, wallMs, error)
    if (counts) this.attempt++
  }

  begin(): Promise<void> | undefined {
    const { running } = this
    const started = isSuspicious(this.leased) ? this.#onTrial().then(() => this.#begin()) : this.#begin()
    return started?.then(async () => {
      // The process may have stood still while it waited for an answer.
      if (!this.#settler.renewal.isSure(this)) await this.#confirm()
      if (this.running !== running) throw new BusError('NOT_RUNNING', 'it was given back before its handler started')
    })
  }

  #begin(): Promise<void> | undefined {
    return this.#settler.renewal.isSure(this) ? this.#start() : this.#confirm().then(() => this.#start())
  }

  /** The process stood still for so long that somebody else may have the message: the log is asked before the handler is. */
  async #confirm(): Promise<void> {
    this.#mustHold(await this.#settler.renewal.confirm(this))
  }

  /** Somebody else has it by now. */
  #mustHold(held: boolean): void {
    if (held) return
    this.over = true
    throw new BusError('NOT_RUNNING', 'its lease ran out before its handler started')
  }

  #start(): Promise<void> | undefined {
    return this.isOnce ? this.#spend() : this.leased.begin()?.then((held) => this.#mustHold(held))
  }

  /** Waits for its turn, with all its time still before it. */
  async #onTrial(): Promise<void> {
    const { running } = this
    running?.extend(Number.MAX_SAFE_INTEGER)
    this.#trial = this.#settler.trials.enter(mustBeAlone(this.leased, this.retry.attempts))
    await this.#trial.turn
    running?.extend()
  }

  /** Uses the attempt up before the handler starts: whoever gets the message after a crash must not handle it again. */
  async #spend(): Promise<void> {
    await this.leased.begin()
    const note = writeStory(this.story)
    const kept = await this.leased.nack({ hold: true, note }).catch((cause: unknown) => {
      throw new BusError('NOT_RUNNING', 'the log could not note that its handler starts', { cause })
    })
    this.#mustHold(kept)
    this.spent = true
  }

  /**
   * True for a new lease of its own message: the one before ran out, for instance because the process stood still. It goes on with the
   * new one.
   */
  adopts(lane: LaneState, leased: Leased, leasedUntilMs: number): boolean {
    if (this.lane !== lane || this.leased.offset !== leased.offset || this.over) return false
    this.leased = leased
    this.leasedUntilMs = leasedUntilMs
    this.lost = false
    if (this.running !== undefined || this.isTaken) leased.begin()?.catch(() => undefined)
    return true
  }

  started(delivery: Delivery): void {
    this.running = delivery
    this.wasStarted = true
    this.by = delivery.name
    this.startedMs = delivery.startedMs
  }

  /** A consumer takes it by hand: whether it survives that is noted as for a handler, but nothing waits for the note. */
  take(): void {
    this.isTaken = true
    this.leased.begin()?.catch(() => undefined)
  }

  hold(_delivery: Delivery, reason: FailureReason, error: unknown): boolean {
    this.running = undefined
    // The next try may be taken by hand.
    this.wasStarted = false
    this.#trial?.end()
    return this.#settler.hold(this, reason, error)
  }

  settled(_name: string, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): boolean {
    this.running = undefined
    this.#trial?.end()
    return this.#settler.settled(this, outcome, value, reason, error)
  }
}
