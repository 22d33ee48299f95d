import type { Env } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'

import type { Along } from '../log.ts'
import { textOf } from '../sqlite/encode.ts'
import { Bodies } from './bodies.ts'
import { headOf, streamDetails } from './bootstrap.ts'
import type { StreamRecord } from './follow.ts'
import { Forwarder } from './forward.ts'
import { NO_STREAM, type StreamDetails } from './io.ts'
import { Janitor } from './janitor.ts'
import type { Losses } from './losses.ts'
import { Machine, type MachineEvents, MOST_STEP_MS } from './machine.ts'
import { type ChannelNames, channelNames } from './names.ts'
import { type Hall, type LocalConsumer, mustFit, type Place } from './place.ts'
import { Presence } from './presence.ts'
import { type ConsumerOp, decodeBatch, type Op, offsetOf } from './records.ts'
import { Sender } from './sender.ts'
import { Supply } from './supply.ts'
import { Thread, type ThreadOwner } from './thread.ts'
import { Ticker } from './ticker.ts'

const encoder = new TextEncoder()
/** So far behind the end of the stream, messages are not kept in memory: they would be gone before anybody asks. */
const MOST_BEHIND = 16_384

/** A channel as this process follows it. */
export class Channel implements MachineEvents, Place, ThreadOwner {
  readonly hall: Hall
  readonly env: Env
  readonly names: ChannelNames
  readonly bodies: Bodies
  readonly sender: Sender
  readonly presence: Presence
  readonly supply: Supply
  readonly locals = new Map<string, LocalConsumer>()
  readonly watchers = new Set<() => void>()
  machine: Machine
  closed = false
  /** Monotonic milliseconds before which the newest record was surely not stored, however long it was on its way or lay here. */
  storedMs = Number.NEGATIVE_INFINITY
  readonly #ticker: Ticker
  readonly #janitor: Janitor
  readonly #pumps = new Set<LocalConsumer>()
  readonly #waiting: {
    readonly seq: number
    readonly resolve: () => void
    readonly reject: (error: BusError) => void
  }[] = []
  readonly #forwarder: Forwarder
  readonly #thread: Thread
  #opening: Promise<void> | undefined
  #appliedMs = 0
  /** Something was not handed out because nothing was heard for too long. */
  #isStale = false
  #ids = 0

  constructor(hall: Hall, channel: string, instance: string) {
    this.hall = hall
    this.env = hall.env
    this.names = channelNames(hall.prefix, channel)
    this.machine = new Machine(channel, this)
    this.bodies = new Bodies(hall.io, this.names)
    this.sender = new Sender(
      hall,
      this.names,
      () => this.machine,
      instance,
      (seq) => this.sawStored(seq),
    )
    this.presence = new Presence(this)
    this.#ticker = new Ticker(this, this.presence)
    this.#janitor = new Janitor(this)
    this.#forwarder = new Forwarder(this)
    this.#thread = new Thread(this)
    this.supply = new Supply(this, (seq) => this.#thread.miss(seq))
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
    const details = await streamDetails(this.hall.io, this.names)
    if (details === undefined)
      throw new BusError('STORE_FAILED', `the channel "${this.names.channel}" is not there any more`)
    await this.reached(details.state.last_seq)
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
        reject: (error) => {
          timer.cancel()
          reject(error)
        },
      })
    })
  }

  get isOpen(): boolean {
    return this.#opening !== undefined
  }

  /** A record was acknowledged with this sequence. */
  sawStored(seq: number): void {
    this.#thread.saw(seq)
  }

  /** Entries were acknowledged: of that part, the first and the last. */
  sawEntries(part: string, first: number, last: number): void {
    this.#thread.losses.stored(part, offsetOf(first, 0), offsetOf(last, 0))
    this.#thread.saw(last)
  }

  /** Whoever publishes has met the stream. */
  met(details: StreamDetails): void {
    this.#thread.met(details)
  }

  /** What this process knows to have been lost. */
  get losses(): Losses {
    return this.#thread.losses
  }

  /** The time of the machine by now, as far as it can be guessed. */
  nowMs(): number {
    return this.machine.now + Math.min(MOST_STEP_MS, this.env.monotonicMs() - this.#appliedMs)
  }

  /** Wall-clock time by the server's clock. */
  wallMs(): number {
    return this.machine.wall + (this.env.monotonicMs() - this.#appliedMs)
  }

  /** True while what was set aside for this process at that time, or before it was last heard of, surely still is. */
  isFresh(sinceMs: number, withinMs: number): boolean {
    const nowMs = this.env.monotonicMs()
    if (nowMs - sinceMs <= withinMs || nowMs - this.sender.seenMs <= withinMs) return true
    this.#isStale = true
    // What was sent lately comes back as well as a new record would.
    if (nowMs - this.sender.sentMs > withinMs / 4) this.#ticker.now()
    return false
  }

  /** A consumer begins. */
  join(local: LocalConsumer): void {
    this.locals.set((local.id = this.#newId()), local)
    this.sender.post(this.#entering(local))
    local.consumer.attach(local)
  }

  /** A consumer has ended. */
  leave(local: LocalConsumer): void {
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
    if (settled) await this.#forwarder.idle()
    return settled
  }

  reserved(holder: { readonly id: string }, slot: Parameters<LocalConsumer['reserved']>[1]): void {
    const local = this.locals.get(holder.id)
    if (local === undefined) return
    local.reserved(
      (this.machine.holders.get(holder.id) as { group: Parameters<LocalConsumer['reserved']>[0] }).group,
      slot,
    )
    this.#pumps.add(local)
  }

  left(holder: { readonly id: string }): void {
    const local = this.locals.get(holder.id)
    this.locals.delete(holder.id)
    local?.consumer.end()
  }

  died(instance: string): void {
    if (instance !== this.sender.instance || this.closed) return
    this.rejoin()
  }

  lost(from: number, to: number): void {
    this.#thread.heardLost(from, to)
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

  /** The connection is gone: what was awaited does not come on it. */
  cutOff(): void {
    const text = `the connection was lost before the records of "${this.names.channel}" came`
    for (const { reject } of this.#waiting.splice(0)) reject(new BusError('BROKER_TIMEOUT', text))
  }

  /** The connection stands again: what is there is compared with what was, and everything goes on. */
  async restored(): Promise<void> {
    if (this.closed) return
    this.presence.restored()
    await this.#thread.restored(this.isOpen)
    for (const local of this.locals.values()) local.pump()
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
      await this.#forwarder.idle()
    }
    this.abandon()
  }

  /** Ends without a word. */
  abandon(): void {
    this.closed = true
    this.#ticker.end()
    this.#thread.end()
    this.presence.end()
    this.sender.end()
    for (const watcher of [...this.watchers]) watcher()
  }

  async #begin(): Promise<void> {
    await this.#thread.begin()
    this.hall.reserve.make()
    await this.presence.survey()
  }

  apply(record: StreamRecord, pending: number): void {
    const { machine } = this
    const { seq, at, subject } = record
    this.#appliedMs = this.env.monotonicMs()
    this.storedMs = this.sender.earliestMs(at, this.#appliedMs)
    if (subject[0] === 'e') this.#entry(record, pending < MOST_BEHIND)
    else if (subject === 'o' || subject === 'a') this.#batch(record)
    else machine.applyOther(seq, at)
    this.#janitor.saw(record, pending)
    if (machine.outgoing.size > 0) this.#forwarder.look()
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

  #entry(record: StreamRecord, keep: boolean): void {
    const read = headOf(record, false)
    if (read === undefined) {
      this.machine.applyOther(record.seq, record.at)
      return
    }
    const { part, head, delay, note } = read
    if (keep) this.bodies.put(head.offset, record.data, note)
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
    const own = batch.i === this.sender.instance
    if (own) this.#heard(batch.n, results, record.at)
    for (const op of batch.ops) {
      if (op.t === 'want') this.#share(op.c)
      // What was kept back until then may go.
      else if (own && op.t === 'free') for (const local of this.locals.values()) this.#pumps.add(local)
      // Whoever waits was alone until then, or is there only now: it says that it waits.
      else if (op.t === 'in') this.#met(op)
      // Its end may have been stored before its beginning, which was refused and sent again: nobody would take what is set aside for it.
      if (own && op.t === 'in' && !this.locals.has(op.c)) this.sender.post({ t: 'out', c: op.c })
    }
  }

  /** A record of its own: what was set aside for this process in those before it still is. */
  #heard(n: number, results: Parameters<Sender['done']>[1], at: number): void {
    this.sender.done(n, results, at)
    if (!this.#isStale) return
    this.#isStale = false
    for (const local of this.locals.values()) this.#pumps.add(local)
  }

  #met({ p, g }: ConsumerOp): void {
    for (const local of this.locals.values()) if (local.part === p && local.group === g) this.#pumps.add(local)
  }

  /** A consumer waits: those of this process in its group share what they have not been asked for. */
  #share(id: string): void {
    const found = this.machine.holders.get(id)
    if (found === undefined || !found.holder.wants) return
    for (const holder of found.group.holders) if (holder.id !== id) this.locals.get(holder.id)?.share()
  }

  /** This process begins anew with the channel, under another name: what it held is not its any more. */
  rejoin(): void {
    this.presence.rename()
    this.sender.rename(this.presence.instance)
    const locals = [...this.locals.values()]
    this.locals.clear()
    for (const local of locals) {
      const id = this.#newId()
      this.locals.set(id, local)
      local.restart(id)
      this.sender.post(this.#entering(local))
    }
  }

  #entering({ id, part, group, from, consumer }: LocalConsumer): Op {
    return { t: 'in', c: id, p: part, g: group, f: from, most: consumer.maxInFlight, wait: consumer.ackWaitMs }
  }

  #newId(): string {
    return `${this.sender.instance}.${++this.#ids}`
  }
}
