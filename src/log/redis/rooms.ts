import type { RedisLink } from '../../broker/redis/link.ts'
import type { Env } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { checkAlong } from '../checks.ts'
import type { Consumer } from '../consumer.ts'
import type { Along, Appended, ConsumeOptions, Gap, GroupInfo, Settled, StreamInfo } from '../log.ts'
import { channelOf } from '../log.ts'
import { Appender } from './appender.ts'
import { baseOf, Channel, type ChannelHost } from './channel.ts'
import { type Packed, packMessageText, restOf } from './codec.ts'
import { Copies } from './copies.ts'
import { Desk } from './desk.ts'
import { Ear } from './ear.ts'
import { logFault } from './faults.ts'
import { SCRIPTS } from './scripts.ts'
import { type AlongArgs, NO_LEASE, Settler } from './settler.ts'
import { fromText } from './taken.ts'

/** What the rooms of a log share. */
export interface RoomSettings {
  readonly env: Env
  readonly link: RedisLink
  readonly prefix: string
  readonly replicas: number
  readonly dedupMs: number
  readonly dedupLimit: number
  readonly deadAfterMs: number
  readonly timeoutMs: number | undefined
  readonly onDamage: (gap: Gap) => void
  readonly tellLoss: (error: BusError) => void
}

const SETTLE_MS = 30_000
/** Milliseconds between two rides of what handlers run with appends. */
const RIDE_MS = 10

/** All channels that a log has used. */
export class Rooms {
  readonly #settings: RoomSettings
  readonly #host: ChannelHost
  readonly #ear: Ear
  readonly #copies: Copies
  readonly #rooms = new Map<string, Room>()
  #names = 0

  constructor(settings: RoomSettings) {
    const { env, link } = settings
    const digits = (): string => Math.floor(env.random() * 2 ** 48).toString(36)
    const me = `${digits()}${digits()}`
    this.#settings = settings
    this.#ear = new Ear(env, link, me)
    this.#copies = new Copies(settings)
    this.#host = { ...settings, ear: this.#ear, me }
  }

  of(channel: string): Room {
    let room = this.#rooms.get(channel)
    if (room === undefined) {
      const name = (): string => `${this.#host.me}:${++this.#names}`
      room = new Room(new Channel(this.#host, channel), { ...this.#settings, copies: this.#copies }, name)
      this.#rooms.set(channel, room)
    }
    return room
  }

  /** The channels that there are in the server. */
  async names(): Promise<readonly string[]> {
    const key = `${this.#settings.prefix}:channels`
    const list = (await this.#settings.link.command(key, ['SMEMBERS', key])) as readonly Buffer[]
    return list.map(String)
  }

  restored(): void {
    this.#ear.hurry()
    for (const { channel } of this.#rooms.values()) void channel.restored().catch(() => undefined)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#rooms.values()].map((room) => room.close()))
    await this.#copies.close()
    await this.#ear.close()
  }
}

/** One channel: its groups in this process, and all that is asked about it. */
export class Room {
  readonly channel: Channel
  readonly #settings: RoomSettings
  readonly #appender: Appender
  readonly #settler: Settler
  readonly #name: () => string
  readonly #desks = new Map<string, Desk>()
  readonly #readers = new Set<object>()
  #rodeMs = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(channel: Channel, settings: RoomSettings & { readonly copies: Copies }, name: () => string) {
    this.channel = channel
    this.#settings = settings
    this.#name = name
    this.#appender = new Appender(channel, settings)
    this.#settler = new Settler(channel)
  }

  append(stream: string, items: readonly Packed[]): Promise<readonly Appended[]> {
    const nowMs = this.#settings.env.monotonicMs()
    if (this.#desks.size > 0 && nowMs - this.#rodeMs >= RIDE_MS) {
      // What is kept next says which handlers run.
      this.#rodeMs = nowMs
      for (const desk of this.#desks.values()) desk.mark()
      this.#settler.flush()
    }
    return this.#appender.append(stream, items)
  }

  /** What goes along with a settlement, as the script takes it. Throws INVALID_OPTION, UNSUPPORTED, and what the codec throws. */
  along(owner: string, along: Along): AlongArgs {
    checkAlong(owner, along, { check: () => undefined })
    const { stream, note, message } = along
    const channel = channelOf(stream)
    const { link, prefix } = this.#settings
    const isOwn = channel === this.channel.name
    if (!isOwn && link.kind === 'cluster') {
      throw new BusError('UNSUPPORTED', `in a cluster nothing goes along to "${stream}": it is another channel`)
    }
    return {
      ...{ stream, note, other: isOwn ? undefined : ([baseOf(prefix, channel), channel] as const) },
      ...(message === undefined
        ? { text: undefined, rest: '' }
        : { text: packMessageText(message), rest: restOf(message) }),
    }
  }

  /** A reader follows. Resolves once what is said in the channel is heard. */
  listen(reader: object): Promise<void> {
    this.#readers.add(reader)
    return this.channel.attend('', '')
  }

  /** A reader has ended. */
  unlisten(reader: object): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0 || this.#closed) return
    this.channel.absent('', '')
    void this.channel.rest().catch(() => undefined)
  }

  desk(stream: string, group: string, from: ConsumeOptions['from']): Desk {
    const key = `${stream}\n${group}`
    let desk = this.#desks.get(key)
    if (desk !== undefined) return desk
    desk = new Desk(
      {
        channel: this.channel,
        settler: this.#settler,
        name: this.#name,
        along: (owner, along) => this.along(owner, along),
        onBad: (where, offset, reason) => this.#bad(where, offset, reason),
        onGone: (one) => this.#gone(key, one),
      },
      stream,
      group,
      from,
    )
    this.#desks.set(key, desk)
    desk.create().catch(() => undefined)
    return desk
  }

  /** Gives a consumer its place once its group can be waited for. */
  seat(stream: string, group: string, from: ConsumeOptions['from'], consumer: Consumer): void {
    this.desk(stream, group, from)
    this.channel.attend(stream, group).then(
      () => {
        if (this.#closed) consumer.end()
        else this.desk(stream, group, from).join(consumer)
      },
      (error: unknown) => consumer.end({ error: logFault(`nothing can be taken from "${stream}"`, error) }),
    )
  }

  async settleAt(
    stream: string,
    group: string,
    offset: number,
    as: Settled,
    along: AlongArgs | undefined,
  ): Promise<boolean> {
    const desk = this.#desks.get(`${stream}\n${group}`)
    if (desk !== undefined) return desk.settleAt(offset, as, along)
    await this.channel.change(SCRIPTS.join, [stream, group, 'first'])
    const untilMs = this.#settings.env.monotonicMs() + SETTLE_MS
    return this.#settler.step({ stream, group }, 'o', { ...NO_LEASE, number: offset }, untilMs, [as], along)
  }

  async join(stream: string, group: string, from: ConsumeOptions['from']): Promise<void> {
    const joined = this.channel.change(SCRIPTS.join, [stream, group, fromText(from)])
    await Promise.all([joined, this.channel.attend(stream, group)])
  }

  async leave(stream: string, group: string): Promise<boolean> {
    const key = `${stream}\n${group}`
    this.#settler.flush()
    // Before, since a consumer that begins meanwhile attends again.
    const attended = this.channel.absent(stream, group)
    let was: unknown
    try {
      was = await this.channel.ask(SCRIPTS.leave, [stream, group])
    } catch (error) {
      if (attended) void this.channel.attend(stream, group).catch(() => undefined)
      throw error
    }
    const desk = this.#desks.get(key)
    if (desk !== undefined) this.#gone(key, desk)
    this.channel.unlearn()
    await this.channel.rest()
    return was === 1
  }

  /** Resolves once everything that was asked before is sent, and no buffer of this process holds entries of the stream. */
  async calm(stream?: string): Promise<void> {
    this.#appender.flush()
    for (const desk of this.#desks.values()) if (stream === undefined || desk.stream === stream) await desk.rest()
    this.#settler.flush()
  }

  async streams(): Promise<readonly StreamInfo[]> {
    const list = (await this.channel.ask(SCRIPTS.streams, [])) as readonly [Buffer, number, number, number, number][]
    return list.map(([stream, next, first, bytes, count]) => ({
      ...{ stream: stream.toString(), first: String(first), next: String(next), count, bytes, gaps: [] },
    }))
  }

  async groups(stream?: string): Promise<readonly GroupInfo[]> {
    await this.calm(stream)
    const streams =
      stream === undefined ? ((await this.channel.ask(SCRIPTS.grouped, [])) as readonly Buffer[]).map(String) : [stream]
    const lists = await Promise.all(
      streams.map(async (one) => {
        const rows = (await this.channel.ask(SCRIPTS.figures, [one])) as readonly (readonly [Buffer, ...number[]])[]
        return rows.map((row) => figuresOf(one, row))
      }),
    )
    return lists.flat()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const desk of this.#desks.values()) desk.close()
    await this.#appender.settled()
    await Promise.all([...this.#desks.values()].map((desk) => desk.rest()))
    this.#settler.close()
    await this.#settler.settled()
    this.channel.end()
    await this.channel.retire()
  }

  #gone(key: string, desk: Desk): void {
    if (this.#desks.get(key) !== desk) return
    this.#desks.delete(key)
    desk.close()
  }

  #bad(stream: string, offset: number, reason: Gap['reason']): void {
    const at = String(offset)
    this.#settings.onDamage({ type: 'gap', stream, from: at, to: at, reason })
  }
}

function figuresOf(stream: string, row: readonly [Buffer, ...number[]]): GroupInfo {
  const [group, pending, leased, delayed, acked, dead, expired, dropped, skipped, stale] = row as unknown as [
    Buffer,
    ...[number, number, number, number, number, number, number, number, number],
  ]
  const published = pending + leased + delayed + acked + dead + expired + dropped
  return {
    ...{ stream, group: group.toString(), published, acked, dead, expired, dropped },
    ...{ pending, leased, delayed, skipped, stale },
  }
}
