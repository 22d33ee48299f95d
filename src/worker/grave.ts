import type { FailureReason } from '../bus/ack.ts'
import type { DeathReason } from '../bus/kept-verbs.ts'
import { BusError, type ErrorCode, isBusError } from '../kit/errors.ts'
import type { Along, Delivery, Entry, Settled } from '../log/log.ts'
import type { Envelope, Message } from '../message/message.ts'
import type { Channel } from './channel.ts'
import type { Handling } from './handling.ts'
import { type DeadRecord, deadRecord, deathOf, readStory, type Story, writeStory } from './record.ts'
import { sleepUntil } from './sleep.ts'
import type { WorkerHost } from './worker-host.ts'

/** Milliseconds between two tries to keep a dead letter. */
const AGAIN_MS = 1_000
/** Faults after which the same may be kept. */
const PASSING: readonly ErrorCode[] = ['STORE_FULL', 'STORE_FAILED', 'BROKER_UNREACHABLE', 'BROKER_TIMEOUT']

/** Writes the records of what dies in one group of one channel, and tells of it. */
export class Grave {
  readonly #host: WorkerHost
  readonly #channel: Channel
  readonly #group: string
  readonly #name: string

  /** `name` is how reports call the group's queue. */
  constructor(host: WorkerHost, channel: Channel, group: string, name: string) {
    this.#host = host
    this.#channel = channel
    this.#group = group
    this.#name = name
  }

  recordOf({ lane, leased, story }: Handling, reason: FailureReason, error: unknown): DeadRecord {
    return this.record(lane.stream, leased.offset, story, deathOf(reason), error)
  }

  record(stream: string, offset: string, story: Story, reason: DeathReason, error: unknown): DeadRecord {
    const diedAt = this.#host.env.wallMs()
    return deadRecord({ group: this.#group, stream, offset, reason, diedAt }, story, error)
  }

  /** What is stored in one step with the settlement; nothing when the channel keeps no dead letters. */
  along(record: DeadRecord): Along | undefined {
    return this.#channel.policy.deadLetters ? { stream: this.#channel.dead, note: writeStory(record) } : undefined
  }

  /**
   * Stores the dead letter in one step with its settlement. What the log has no room for, or cannot be reached for, is tried again each
   * second for as long as the lease is ours: so its last error and its attempts are not lost.
   */
  async keep(
    leased: Delivery,
    as: Settled,
    record: DeadRecord,
    signal: AbortSignal,
    failed: (error: unknown) => void,
  ): Promise<boolean> {
    const { env } = this.#host
    for (;;) {
      try {
        return await leased.settle(as, this.along(record))
      } catch (error) {
        if (signal.aborted || !PASSING.some((code) => isBusError(error, code))) throw error
        failed(error)
        if (!(await leased.extend().catch(() => true))) return false
        await sleepUntil(env, env.monotonicMs() + AGAIN_MS, signal)
      }
    }
  }

  /** Settles an expired entry that nobody holds. */
  async buryExpired(entry: Entry, error: BusError): Promise<void> {
    const { stream, offset, message } = entry
    const record = this.record(stream, offset, readStory(entry.note), 'expired', error)
    const kept = this.#host.log.settle(stream, this.#group, offset, 'expired', this.along(record))
    if (!(await kept)) return
    this.#host.fail(this.#name, message as Envelope, 'expired', 'expired', error)
    this.tell(kept, record, message, 'expired', error)
  }

  /** Settles a message whose attempts were used up by processes that died with it, or leases that ran out. */
  buryExhausted(handling: Handling): Promise<boolean> {
    const { lane, leased, message, retry, story } = handling
    const text = `its handler did not survive: ${retry.attempts} attempts are used up`
    const error = new BusError('HANDLER_FAILED', text)
    const record = this.record(lane.stream, leased.offset, story, 'agent-unresponsive', error)
    const kept = leased.settle('dead', this.along(record))
    handling.over = true
    this.#host.fail(this.#name, message, 'failed', 'handler-error', error)
    this.tell(kept, record, message, 'handler-error', error)
    return kept
  }

  /** Receipts are told at once, everybody else once the dead letter is kept. */
  tell(kept: Promise<boolean>, record: DeadRecord, message: Message, reason: FailureReason, error: unknown): void {
    const outcome = reason === 'expired' ? 'expired' : isDropped(record.reason) ? 'dropped' : 'failed'
    const done = { name: this.#name, outcome, value: undefined, reason, error } as const
    this.#host.settled(message as Envelope, this.#group, record, done)
    kept.then(
      (done) => {
        if (done) this.#host.buried(this.#channel, record, message)
      },
      () => undefined,
    )
  }
}

function isDropped(reason: DeathReason): boolean {
  return reason === 'cancelled' || reason === 'queue-full'
}
