import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Appended, MessageLog } from '../log/log.ts'
import type { Envelope } from '../message/message.ts'
import type { Channel } from './channel.ts'
import { writeStory } from './record.ts'

/** Milliseconds between two looks for room. */
const LOOK_MS = 20
/** Most entries that are looked at to find one that can be dropped. */
const MOST_TRIES = 1_000

/** The room of kept channels that have a limit. Counts with the log, so it is exact to the publishes that are under way. */
export class Room {
  readonly #env: Env
  readonly #log: MessageLog

  constructor(env: Env, log: MessageLog) {
    this.#env = env
    this.#log = log
  }

  /** Resolves when there is room; to what was stored if the message went to the dead letters instead. Rejects with QUEUE_FULL. */
  async admit(channel: Channel, message: Envelope): Promise<readonly Appended[] | undefined> {
    const { limit, overflow, waitMs } = channel.policy
    if ((await this.#unsettled(channel)) < limit) return undefined
    switch (overflow) {
      case 'refuse':
        throw full(channel, '')
      case 'wait':
        return this.#wait(channel, waitMs)
      case 'dead-letter':
        return this.#log.append(channel.dead, [
          { message, note: this.#record(channel, channel.streamFor(message.priority, message.session), '', '') },
        ])
      case 'drop-oldest':
        await this.#dropOldest(channel)
        return undefined
      default:
        return overflow satisfies never
    }
  }

  /** Of the group that is furthest behind; of all that is kept while there is no group. */
  async #unsettled(channel: Channel): Promise<number> {
    const byGroup = new Map<string, number>()
    let kept = 0
    for (const lane of channel.lanes) {
      const groups = await this.#log.groups(lane)
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
      const waited = Promise.withResolvers<void>()
      this.#env.after(Math.min(LOOK_MS, leftMs), () => waited.resolve())
      await waited.promise
      if ((await this.#unsettled(channel)) < channel.policy.limit) return undefined
    }
  }

  async #dropOldest(channel: Channel): Promise<void> {
    let dropped = false
    for (const lane of channel.lanes.toReversed()) {
      for (const { group } of await this.#log.groups(lane)) {
        let tries = 0
        for await (const entry of this.#log.read(lane, { openFor: group })) {
          if (entry.type === 'gap') continue
          const along = { stream: channel.dead, note: this.#record(channel, lane, group, entry.offset) }
          const gone = await this.#log.settle(lane, group, entry.offset, 'dropped', along)
          dropped ||= gone
          if (gone || ++tries >= MOST_TRIES) break
        }
      }
      if (dropped) return
    }
    throw full(channel, '; everything in it is being handled')
  }

  #record(channel: Channel, stream: string, group: string, offset: string): string {
    const error = `channel "${channel.name}" was full`
    const diedAt = this.#env.wallMs()
    const record = {
      attempts: [],
      group,
      stream,
      offset,
      reason: 'queue-full',
      error,
      code: 'QUEUE_FULL',
      diedAt,
    }
    return writeStory(record as never)
  }
}

function full(channel: Channel, more: string): BusError {
  const { limit, overflow } = channel.policy
  return new BusError('QUEUE_FULL', `channel "${channel.name}" holds ${limit} unsettled messages${more}`, {
    details: { name: channel.name, limit, overflow },
  })
}
