import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Appended, MessageLog } from '../log/log.ts'
import type { Envelope, Message } from '../message/message.ts'
import type { Channel } from './channel.ts'
import { type DeadRecord, deadRecord, writeStory } from './record.ts'
import { sleepUntil } from './sleep.ts'

/** Milliseconds between two looks for room. */
const LOOK_MS = 20
/** Most entries that are looked at to find one that can be dropped. */
const MOST_TRIES = 1_000

/** What the room of kept channels needs around it. */
export interface RoomHost {
  readonly env: Env
  readonly log: MessageLog
  /** A message became a dead letter. */
  buried(channel: Channel, record: DeadRecord, message: Message): void
  /** No group gets a message that was published. */
  refused(message: Envelope, name: string, error: BusError): void
  /** Drops a message that a group of this process has in hand, unless it is being handled. True when it was there. */
  drop(stream: string, group: string, offset: string, error: BusError): boolean
}

/** A message that went to the dead letters instead. */
export interface Buried {
  readonly stored: readonly Appended[]
  readonly error: BusError
}

/** A count of a channel that is under way, and the one behind it, for those who came while it ran. */
interface Round {
  readonly running: Promise<number>
  next: Promise<number> | undefined
}

/** The room of kept channels that have a limit. Counts with the log, so it is exact to the publishes that are under way. */
export class Room {
  readonly #host: RoomHost
  readonly #env: Env
  readonly #log: MessageLog
  readonly #rounds = new Map<Channel, Round>()

  constructor(host: RoomHost) {
    this.#host = host
    this.#env = host.env
    this.#log = host.log
  }

  /** Resolves when there is room; to what was stored if the message went to the dead letters instead. Rejects with QUEUE_FULL. */
  async admit(channel: Channel, message: Envelope): Promise<Buried | undefined> {
    const { limit, overflow, waitMs } = channel.policy
    if ((await this.#count(channel)) < limit) return undefined
    switch (overflow) {
      case 'refuse':
        throw full(channel, '')
      case 'wait':
        return this.#wait(channel, waitMs)
      case 'dead-letter':
        return this.#bury(channel, message)
      case 'drop-oldest':
        await this.#dropOldest(channel)
        return undefined
      default:
        return overflow satisfies never
    }
  }

  /**
   * As {@link #unsettled}, asked for once for all who ask meanwhile: on a broker each question is a round trip. The answer is never older
   * than the call, so whoever publishes one message after another is counted exactly.
   */
  #count(channel: Channel): Promise<number> {
    const round = this.#rounds.get(channel)
    if (round === undefined) return this.#begin(channel)
    round.next ??= round.running.then(
      () => this.#begin(channel),
      () => this.#begin(channel),
    )
    return round.next
  }

  #begin(channel: Channel): Promise<number> {
    const running = this.#unsettled(channel)
    const round: Round = { running, next: undefined }
    this.#rounds.set(channel, round)
    const over = (): void => {
      if (round.next === undefined) this.#rounds.delete(channel)
    }
    running.then(over, over)
    return running
  }

  /** Of the group that is furthest behind; of all that is kept while there is no group. */
  async #unsettled(channel: Channel): Promise<number> {
    const byGroup = new Map<string, number>()
    let kept = 0
    const all = await Promise.all(channel.lanes.map((lane) => this.#log.groups(lane)))
    for (const [index, lane] of channel.lanes.entries()) {
      const groups = all[index] ?? []
      for (const { group, pending, leased, delayed } of groups) {
        byGroup.set(group, (byGroup.get(group) ?? 0) + pending + leased + delayed)
      }
      if (groups.length === 0)
        for (const one of await this.#log.streams(channel.name)) kept += one.stream === lane ? one.count : 0
    }
    return Math.max(kept, ...byGroup.values())
  }

  async #wait(channel: Channel, waitMs: number): Promise<undefined> {
    const dueMs = this.#env.monotonicMs() + waitMs
    for (;;) {
      const leftMs = dueMs - this.#env.monotonicMs()
      if (leftMs <= 0) throw full(channel, `; ${waitMs} ms of waiting passed`)
      await sleepUntil(this.#env, dueMs - leftMs + Math.min(LOOK_MS, leftMs), undefined)
      if ((await this.#count(channel)) < channel.policy.limit) return undefined
    }
  }

  async #bury(channel: Channel, message: Envelope): Promise<Buried> {
    const error = full(channel, '')
    const record = this.#record(channel, channel.streamFor(message.priority, message.session), '', '')
    const stored = await this.#log.append(channel.dead, [{ message, note: writeStory(record) }])
    if (stored[0]?.duplicate !== true) this.#host.buried(channel, record, message)
    this.#host.refused(message, channel.name, error)
    return { stored, error }
  }

  async #dropOldest(channel: Channel): Promise<void> {
    let dropped = false
    for (const lane of channel.lanes.toReversed()) {
      for (const { group } of await this.#log.groups(lane)) {
        let tries = 0
        for await (const entry of this.#log.read(lane, { openFor: group })) {
          if (entry.type === 'gap') continue
          const record = this.#record(channel, lane, group, entry.offset)
          const along = { stream: channel.dead, note: writeStory(record) }
          let gone = await this.#log.settle(lane, group, entry.offset, 'dropped', along)
          if (gone) this.#host.buried(channel, record, entry.message)
          else gone = this.#host.drop(lane, group, entry.offset, full(channel, ': the oldest went'))
          dropped ||= gone
          if (gone || ++tries >= MOST_TRIES) break
        }
      }
      if (dropped) return
    }
    throw full(channel, '; everything in it is being handled')
  }

  #record(channel: Channel, stream: string, group: string, offset: string): DeadRecord {
    const error = full(channel, '')
    return deadRecord(
      { group, stream, offset, reason: 'queue-full', diedAt: this.#env.wallMs() },
      { attempts: [] },
      error,
    )
  }
}

function full(channel: Channel, more: string): BusError {
  const { limit, overflow } = channel.policy
  return new BusError('QUEUE_FULL', `channel "${channel.name}" holds ${limit} unsettled messages${more}`, {
    details: { name: channel.name, limit, overflow },
  })
}
