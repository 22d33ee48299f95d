import type { Env } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'

import type { Along, Gap, LogEvent } from '../log.ts'
import { textOf } from '../sqlite/encode.ts'
import { Bodies, type Body } from './bodies.ts'
import { bootMachine, ensureStream, headOf, newestSnapshot, type StreamSettings, streamDetails } from './bootstrap.ts'
import { Follower, type StreamRecord } from './follow.ts'
import { type Io, NO_STREAM } from './io.ts'
import { Janitor } from './janitor.ts'
import type { Local } from './local.ts'
import { Machine, type MachineEvents, MOST_STEP_MS } from './machine.ts'
import { type ChannelNames, channelNames } from './names.ts'
import type { Part } from './part.ts'
import { Presence } from './presence.ts'
import { decodeBatch, type Op } from './records.ts'
import { Sender } from './sender.ts'
import { Ticker } from './ticker.ts'

/** What the channels of a log share. */
export interface Hall {
  readonly io: Io
  readonly env: Env
  readonly prefix: string
  readonly settings: StreamSettings
  readonly graceMs: number
  readonly onDamage: (gap: Gap) => void
  readonly onEvent: (event: LogEvent) => void
  /** Stores an entry that goes along to another channel. Resolves once it lies there. */
  readonly forward: (stream: string, id: string, body: Body) => Promise<void>
}

const AGAIN_MS = 100
const encoder = new TextEncoder()

/** A channel as this process follows it. */
export class Channel implements MachineEvents {
  readonly hall: Hall
  readonly env: Env
  readonly names: ChannelNames
  readonly bodies: Bodies
  readonly sender: Sender
  readonly presence: Presence
  readonly locals = new Map<string, Local>()
  readonly watchers = new Set<() => void>()
  machine: Machine
  closed = false
  readonly #ticker: Ticker
  readonly #janitor: Janitor
  readonly #loading = new Map<number, Promise<void>>()
  readonly #fetched = new Map<number, Body | 'lost'>()
  readonly #pumps = new Set<Local>()
  readonly #waiting: { readonly seq: number; readonly resolve: () => void }[] = []
  readonly #forwarding = new Map<number, Promise<void>>()
  #follower: Follower | undefined
  #opening: Promise<void> | undefined
  #created = ''
  #appliedMs = 0
  /** The highest sequence that the server is known to have had. */
  #seen = 0
  #ids = 0
  #restarting = false

  constructor(hall: Hall, channel: string, instance: string) {
    this.hall = hall
    this.env = hall.env
    this.names = channelNames(hall.prefix, channel)
    this.machine = new Machine(channel, this)
    this.bodies = new Bodies(hall.io, this.names.stream)
    this.sender = new Sender(hall.io, this.names, () => this.machine, instance)
    this.presence = new Presence(this)
    this.#ticker = new Ticker(this)
    this.#janitor = new Janitor(this)
  }

  /** Resolves once everything is applied that was in the stream at the time of the first call. */
  open(): Promise<void> {
    this.#opening ??= this.#begin().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /** Resolves once everything is applied that any process was answered before the call. */
  async sync(): Promise<void> {
    await this.open()
    // What this process has asked for counts as well.
    if (!this.sender.idle) await this.sender.submit({ t: 'tick' })
    const { state } = await this.hall.io.must<{ state: { last_seq: number } }>(`STREAM.INFO.${this.names.stream}`)
    await this.reached(state.last_seq)
  }

  /** The sequence at which the stream stands now: what is stored after the call lies behind it. Undefined when there is no stream. */
  async mark(): Promise<number | undefined> {
    this.sender.flush()
    try {
      return (await this.hall.io.publish(`${this.names.root}x`, new Uint8Array(0), undefined)).seq
    } catch (error) {
      if (isBusError(error) && error.details.errCode === NO_STREAM) return undefined
      // There is no room for a mark: the end is that of a moment later.
      if (isBusError(error, 'STORE_FULL')) return (await streamDetails(this.hall.io, this.names))?.state.last_seq
      throw error
    }
  }

  /** Resolves once the record is applied. Rejects when that takes too long. */
  reached(seq: number): Promise<void> {
    if (this.machine.seq >= seq) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const { timeoutMs } = this.hall.io
      const timer = this.env.after(timeoutMs, () => {
        reject(
          new BusError('BROKER_TIMEOUT', `the records of "${this.names.channel}" did not come within ${timeoutMs} ms`),
        )
      })
      this.#waiting.push({
        seq,
        resolve: () => {
          timer.cancel()
          resolve()
        },
      })
    })
  }

  get isOpen(): boolean {
    return this.#opening !== undefined
  }

  /** An append was acknowledged with this sequence. */
  sawStored(seq: number): void {
    if (seq > this.#seen) this.#seen = seq
  }

  /** The time of the machine by now, as far as it can be guessed. */
  nowMs(): number {
    return this.machine.now + Math.min(MOST_STEP_MS, this.env.monotonicMs() - this.#appliedMs)
  }

  /** Wall-clock time by the server's clock. */
  wallMs(): number {
    return this.machine.wall + (this.env.monotonicMs() - this.#appliedMs)
  }

  /** True when this process has heard of the channel lately: what is set aside for it still is. */
  isFresh(sinceMs: number, withinMs: number): boolean {
    const nowMs = this.env.monotonicMs()
    if (nowMs - sinceMs <= withinMs || nowMs - this.sender.seenMs <= withinMs) return true
    this.#ticker.now()
    return false
  }

  /** A consumer begins. */
  join(local: Local): void {
    this.locals.set((local.id = this.#newId()), local)
    this.sender.post(this.#entering(local))
    local.consumer.attach(local)
  }

  /** A consumer has ended. */
  leave(local: Local): void {
    if (!this.locals.delete(local.id)) return
    this.#pumps.delete(local)
    this.sender.post({ t: 'out', c: local.id })
  }

  /** Throws PAYLOAD_TOO_LARGE or INVALID_PAYLOAD. */
  check(message: Message): void {
    mustFit(this.hall.io, encoder.encode(textOf(message)).length, message.topic)
  }

  /** Settles, and stores in the same step what goes along: another message, or the settled one's own bytes. */
  async settleAlong(
    op: Op & { readonly t: 'settle' | 'settleAt' },
    along: Along,
    own: Uint8Array,
    message: Message | undefined,
  ): Promise<boolean> {
    const body = along.message === undefined ? own : encoder.encode(textOf(along.message))
    const { session, expiresAt } = along.message ?? message ?? {}
    const { note } = along
    mustFit(this.hall.io, body.length + (note?.length ?? 0) * 3, along.stream)
    const a = {
      ...{ s: along.stream, l: body.length },
      ...(note !== undefined && { n: note }),
      ...(session !== undefined && { e: session }),
      ...(expiresAt !== undefined && { x: expiresAt }),
    }
    const settled = (await this.sender.submit({ ...op, a }, body)) as boolean
    // What goes to another channel is answered once it lies there.
    if (settled && this.#forwarding.size > 0) await Promise.all(this.#forwarding.values())
    return settled
  }

  /** Bytes of an entry that was set aside will be asked for. */
  prefetch(offset: number): void {
    if (this.bodies.get(offset) === undefined) this.load(offset, undefined)
  }

  loaded(offset: number): Body | 'lost' | undefined {
    const found = this.#fetched.get(offset)
    if (found !== undefined) this.#fetched.delete(offset)
    return found
  }

  load(offset: number, local: Local | undefined): void {
    let loading = this.#loading.get(offset)
    if (loading === undefined) {
      loading = this.bodies.load(offset).then(
        (body) => {
          this.#loading.delete(offset)
          if (this.#fetched.size > 4_096) this.#fetched.clear()
          this.#fetched.set(offset, body ?? 'lost')
        },
        () => {
          this.#loading.delete(offset)
        },
      )
      this.#loading.set(offset, loading)
    }
    if (local !== undefined) void loading.then(() => this.env.nextTurn(() => local.pump()))
  }

  damaged(part: Part, offset: number, reason: 'damaged' | 'lost'): void {
    if (part.gaps.some(({ from, to }) => Number(from) <= offset && offset <= Number(to))) return
    const gap: Gap = { type: 'gap', stream: part.stream, from: String(offset), to: String(offset), reason }
    part.gaps.push(gap)
    this.hall.onDamage(gap)
  }

  reserved(holder: { readonly id: string }, slot: Parameters<Local['reserved']>[1]): void {
    const local = this.locals.get(holder.id)
    if (local === undefined) return
    local.reserved((this.machine.holders.get(holder.id) as { group: Parameters<Local['reserved']>[0] }).group, slot)
    this.#pumps.add(local)
  }

  left(holder: { readonly id: string }): void {
    const local = this.locals.get(holder.id)
    this.locals.delete(holder.id)
    local?.consumer.end()
  }

  died(instance: string): void {
    if (instance !== this.sender.instance || this.closed) return
    this.presence.rename()
    this.sender.rename(this.presence.instance)
    this.#rejoin()
  }

  grown(): void {
    for (const watcher of this.watchers) watcher()
  }

  /** Trims, and frees the room on the server. */
  async trim(op: Op & { readonly t: 'trim' }): Promise<number> {
    const count = (await this.sender.submit(op)) as number
    if (count > 0) await this.#janitor.clean()
    return count
  }

  /** The connection stands again: what is there is compared with what was, and everything goes on. */
  async restored(): Promise<void> {
    if (this.#opening === undefined || this.closed) return
    this.#follower?.end()
    await this.#restart()
  }

  async close(): Promise<void> {
    if (this.closed) return
    for (const local of [...this.locals.values()]) local.consumer.end()
    this.closed = true
    const { link } = this.hall.io
    if (this.#opening !== undefined && link.watch.isUp && !link.connection.isClosed()) {
      await this.#opening.catch(() => undefined)
      if (this.machine.instances.has(this.sender.instance) || !this.sender.idle) {
        await this.sender.submit({ t: 'bye' }).catch(() => undefined)
      }
      await Promise.all(this.#forwarding.values())
    }
    this.abandon()
  }

  /** Ends without a word. */
  abandon(): void {
    this.closed = true
    this.#ticker.end()
    this.#follower?.end()
    this.presence.end()
    this.sender.end()
    for (const watcher of [...this.watchers]) watcher()
  }

  async #begin(): Promise<void> {
    const { io, settings } = this.hall
    const details = await ensureStream(io, this.names, settings)
    this.#created = details.created
    this.#seen = Math.max(this.#seen, details.state.last_seq)
    this.machine = await bootMachine(io, this.names, this)
    await this.#follow()
    await this.reached(details.state.last_seq)
    await this.presence.survey()
  }

  async #follow(): Promise<void> {
    const follower = new Follower(this.hall.io, {
      stream: this.names.stream,
      root: this.names.root,
      from: this.machine.seq + 1,
      record: (record) => this.#apply(record, follower),
      broken: () => {
        if (follower === this.#follower) void this.#restart()
      },
    })
    this.#follower = follower
    await follower.start()
  }

  #apply(record: StreamRecord, follower: Follower): void {
    if (follower !== this.#follower) return
    const { machine } = this
    const { seq, at, subject } = record
    if (seq !== machine.seq + 1) {
      if (seq <= machine.seq) return
      this.#hole(seq)
      if (follower !== this.#follower) return
    }
    this.#appliedMs = this.env.monotonicMs()
    if (seq > this.#seen) this.#seen = seq
    if (subject[0] === 'e') this.#entry(record)
    else if (subject === 'o' || subject === 'a') this.#batch(record)
    else machine.applyOther(seq, at)
    this.#janitor.saw(record)
    if (machine.outgoing.size > 0) this.#forward()
    while (this.#waiting.length > 0 && this.#waiting.some((one) => one.seq <= seq)) {
      const at = this.#waiting.findIndex((one) => one.seq <= seq)
      this.#waiting.splice(at, 1)[0]?.resolve()
    }
    if (this.#pumps.size > 0) {
      for (const local of this.#pumps) local.pump()
      this.#pumps.clear()
    }
    this.#ticker.touch()
  }

  #entry(record: StreamRecord): void {
    const read = headOf(record, false)
    if (read === undefined) {
      this.machine.applyOther(record.seq, record.at)
      return
    }
    const { part, head, delay, note } = read
    this.bodies.put(head.offset, record.data, note)
    this.machine.applyEntry(record.seq, record.at, { ...head, part, delay })
  }

  #batch(record: StreamRecord): void {
    const decoded = decodeBatch(record.data)
    if (decoded === undefined) {
      this.machine.applyOther(record.seq, record.at)
      return
    }
    const { batch } = decoded
    const results = this.machine.applyBatch(record.seq, record.at, batch)
    if (batch.i === this.sender.instance) this.sender.done(batch.n, results)
    for (const op of batch.ops) if (op.t === 'want') this.#share(op.c)
  }

  /** A consumer waits: those of this process in its group share what they have not been asked for. */
  #share(id: string): void {
    const found = this.machine.holders.get(id)
    if (found === undefined || !found.holder.wants) return
    for (const holder of found.group.holders) if (holder.id !== id) this.locals.get(holder.id)?.share()
  }

  /** Records are missing before this one: a snapshot stands for them, or they are lost. */
  #hole(seq: number): void {
    const from = this.machine.seq + 1
    const follower = this.#follower
    this.#follower = undefined
    follower?.end()
    void this.#reload(from, seq - 1)
  }

  async #reload(from: number, to: number): Promise<void> {
    try {
      const snapshot = await newestSnapshot(this.hall.io, this.names)
      if (snapshot !== undefined && snapshot.seq >= from) {
        await this.#reboot()
        return
      }
      this.#lost(from, to)
      this.machine.seq = to
      await this.#follow()
    } catch {
      await this.#restart()
    }
  }

  /** The machine is made anew from what the server has; what this process holds in it goes on. */
  async #reboot(): Promise<void> {
    this.machine = await bootMachine(this.hall.io, this.names, this)
    for (const [id, local] of this.locals) {
      local.restart(id)
      const found = this.machine.holders.get(id)
      if (found === undefined) continue
      for (const slot of found.holder.slots) if (slot.state === 'reserved') local.reserved(found.group, slot)
    }
    await this.#follow()
    this.sender.again()
    for (const local of this.locals.values()) local.pump()
  }

  #lost(from: number, to: number): void {
    for (const part of this.machine.parts.values()) {
      part.gaps.push({
        type: 'gap',
        stream: part.stream,
        from: String(from * 1_000),
        to: String(to * 1_000 + 999),
        reason: 'lost',
      })
    }
    const text = `the channel "${this.names.channel}" lacks the records ${from} to ${to}, which NATS had acknowledged`
    const error = new BusError('DATA_LOSS', text, { details: { channel: this.names.channel, from, to } })
    this.hall.onEvent({ type: 'data-loss', error })
  }

  /** Takes the thread up again, until that succeeds or the connection is lost once more. */
  async #restart(): Promise<void> {
    if (this.#restarting) return
    this.#restarting = true
    try {
      while (!this.closed && this.hall.io.link.watch.isUp) {
        try {
          await this.#resume()
          return
        } catch {
          await new Promise<void>((resolve) => this.env.after(AGAIN_MS, resolve))
        }
      }
    } finally {
      this.#restarting = false
    }
  }

  async #resume(): Promise<void> {
    const { io, settings } = this.hall
    const found = await streamDetails(io, this.names)
    const whole = found !== undefined && found.created === this.#created && found.state.last_seq >= this.#seen
    if (whole) {
      this.#follower?.end()
      await this.#follow()
      this.sender.again()
      return
    }
    const details = found ?? (await ensureStream(io, this.names, settings))
    const same = details.created === this.#created
    const from = same ? details.state.last_seq + 1 : 1
    const to = this.#seen
    this.#created = details.created
    this.bodies.clear()
    this.machine = await bootMachine(io, this.names, this)
    if (to >= from) this.#lost(from, to)
    this.#seen = details.state.last_seq
    this.presence.rename()
    this.sender.rename(this.presence.instance)
    this.#follower?.end()
    await this.#follow()
    await this.reached(details.state.last_seq)
    this.#rejoin()
    for (const watcher of [...this.watchers]) watcher()
  }

  #rejoin(): void {
    const locals = [...this.locals.values()]
    this.locals.clear()
    for (const local of locals) {
      const id = this.#newId()
      this.locals.set(id, local)
      local.restart(id)
      this.sender.post(this.#entering(local))
    }
  }

  #entering({ id, part, group, from, consumer }: Local): Op {
    return { t: 'in', c: id, p: part, g: group, f: from, most: consumer.maxInFlight, wait: consumer.ackWaitMs }
  }

  #newId(): string {
    return `${this.sender.instance}.${++this.#ids}`
  }

  /** Entries that belong into other channels are brought there; that is done twice rather than not at all. */
  #forward(): void {
    for (const [offset, { stream, note }] of this.machine.outgoing) {
      if (this.#forwarding.has(offset) || this.closed) continue
      const run = async (): Promise<void> => {
        const body = await this.bodies.load(offset)
        if (body !== undefined) {
          await this.hall.forward(stream, `along:${this.names.channel}:${offset}`, { bytes: body.bytes, note })
        }
        await this.sender.submit({ t: 'sent', o: offset })
      }
      this.#forwarding.set(
        offset,
        run().then(
          () => void this.#forwarding.delete(offset),
          () => void this.#forwarding.delete(offset),
        ),
      )
    }
  }
}

/** Throws PAYLOAD_TOO_LARGE for what does not fit into a record with its headers. */
export function mustFit({ link }: Io, bytes: number, what: string): void {
  const allowed = (link.connection.info?.max_payload ?? 1_048_576) - 4_096
  if (bytes <= allowed) return
  throw new BusError('PAYLOAD_TOO_LARGE', `"${what}" has ${bytes} bytes as JSON; the server takes ${allowed}`, {
    details: { field: 'bytes', bytes, allowed },
  })
}
