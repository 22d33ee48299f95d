import type { Keeper, KeptBinding, KeptChannel, KeptFigures, KeptHost, KeptQueue, StartFrom } from '../bus/kept.ts'
import type { ChannelInfo, KeptLedger, Replay, Replayed, ReplayOptions } from '../bus/kept-verbs.ts'
import { aText, checkOption } from '../kit/check.ts'
import type { BusError } from '../kit/errors.ts'
import { type ConsumeOptions, channelOf, type LogEvent, type MessageLog } from '../log/log.ts'
import type { Message } from '../message/message.ts'
import { parsePattern } from '../message/topic.ts'
import { Burials, type DeadLetterAlert } from './burials.ts'
import { cancelKept } from './cancel.ts'
import { type Channel, type ChannelOptions, Channels } from './channel.ts'
import { channelInfos } from './channel-info.ts'
import { LogDeadLetters } from './dead-letters.ts'
import { Elsewhere } from './elsewhere.ts'
import { FigureBook } from './figures.ts'
import { groupName, shortName } from './interest.ts'
import { LiveReader } from './live-reader.ts'
import { ExactlyOnce } from './mode.ts'
import { readPlace } from './places.ts'
import { PublishDesk } from './publish.ts'
import { type Awaited, Receipts } from './receipts.ts'
import type { DeadRecord } from './record.ts'
import { replayOf, storedAt } from './replay.ts'
import type { RoomHost } from './room.ts'
import { startWorker } from './start.ts'
import { Upkeep } from './upkeep.ts'
import { GroupWorker } from './worker.ts'
import type { WorkerHost } from './worker-host.ts'

/** Milliseconds more than its limit that an end may take. */
const GRACE_MS = 200

/** How messages are kept. */
export interface KeepSettings {
  /** Policies by name; a topic without one belongs to the channel of its first token. */
  readonly channels?: Readonly<Record<string, ChannelOptions>>
  /** The policy of channels, where they say nothing else. */
  readonly defaults?: ChannelOptions
  /** Milliseconds after which a publish that the log did not answer is given up with PUBLISH_UNKNOWN. Default 10 000. */
  readonly publishTimeoutMs?: number
  /** Messages to one agent that die before `onAlert` is called, and how many more each time. Default 3. */
  readonly alertAfter?: number
  /** Dead letters above which the bus is unhealthy. Default 50. */
  readonly healthDeadLetters?: number
  /** Milliseconds within which the effect of an id happens once. Default 600 000. */
  readonly dedupMs?: number
  readonly onAlert?: (alert: DeadLetterAlert) => void
  /** Called when the bus was closed and everything was given back. */
  readonly onClosed?: () => Promise<void>
}

/** A queue, and the workers that serve it, one for each channel. */
interface Binding extends KeptBinding {
  readonly what: KeptQueue
  attach(channel: Channel): void
  readonly workers: Map<Channel, GroupWorker>
  resume(): void
  sweep(wallMs: number): Promise<void>
}

/** Keeps the messages of one bus in one log: the channels, the groups of this process, dead letters, replay, retention. */
export class LogKeeper implements Keeper {
  readonly #host: KeptHost
  readonly #log: MessageLog
  readonly #settings: KeepSettings
  readonly #channels: Channels
  readonly #kept = new Map<Channel, KeptChannel>()
  readonly #bindings = new Set<Binding>()
  readonly #receipts = new Receipts()
  readonly #elsewhere: Elsewhere
  readonly #burials: Burials
  readonly #desk: PublishDesk
  readonly #once: ExactlyOnce
  readonly #book: FigureBook
  readonly #upkeep: Upkeep
  readonly deadLetters: LogDeadLetters
  #closed = false

  /** `existing` are the streams that the log has already. */
  constructor(bus: KeptHost, log: MessageLog, settings: KeepSettings, existing: readonly string[]) {
    this.#book = new FigureBook(bus, log, settings.healthDeadLetters ?? 50)
    const { host } = this.#book
    this.#host = host
    this.#log = log
    this.#settings = settings
    this.#elsewhere = new Elsewhere({
      bus: host,
      isShared: log.supports.shared,
      receipts: this.#receipts,
      cancel: (id) => this.#cancelHere(id),
    })
    const room: RoomHost = {
      env: host.env,
      log,
      buried: (channel, record, message) => this.#buried(channel, record, message),
      refused: (message, name, error) => this.#receipts.refused(message, name, error),
      drop: (stream, group, offset, error) => this.#drop(stream, group, offset, error),
    }
    this.#desk = new PublishDesk(room, settings.publishTimeoutMs ?? 10_000)
    this.#channels = new Channels(settings.channels ?? {}, settings.defaults ?? {}, log.level, (channel) => {
      for (const binding of this.#bindings) binding.attach(channel)
    })
    for (const stream of existing) this.#channels.named(channelOf(stream))
    this.deadLetters = new LogDeadLetters({
      log,
      env: host.env,
      announce: (event, fields) => host.announce(event, fields),
      guard: (run) => host.guard(run),
      discarded: (channel, record, message) => this.#discarded(channel, record, message),
    })
    this.#upkeep = new Upkeep(host, log, this.#channels, () => this.#bindings, this.deadLetters)
    const windowMs = Math.max(1, settings.dedupMs ?? 600_000)
    this.#once = new ExactlyOnce(host, log, windowMs, (topic) => this.#channels.of(topic))
    this.#burials = new Burials(host, this.deadLetters, settings)
  }

  channel(topic: string): KeptChannel | undefined {
    const channel = this.#channels.of(topic)
    if (channel === undefined) return undefined
    let kept = this.#kept.get(channel)
    if (kept === undefined) {
      kept = this.#keep(channel)
      this.#kept.set(channel, kept)
    }
    return kept
  }

  keeps(pattern: string): boolean {
    return this.#channels.keeps(pattern)
  }

  bind(what: KeptQueue): KeptBinding {
    const { from } = what
    // Refused here, where somebody hears of it.
    if (typeof from === 'object' && !('time' in from)) readPlace('offset' in from ? from.offset : from.after)
    const binding = what.group === undefined ? this.#bindReader(what) : this.#bindGroup(what, groupName(what))
    const tokens = what.patterns.map((pattern) => parsePattern(pattern))
    // A literal first token names its channel, which may not have been met yet.
    for (const pattern of what.patterns) if (!/[*>]/.test(pattern)) this.#channels.of(pattern)
    for (const [root] of tokens) if (root !== '*' && root !== '>') this.#channels.named(root as string)
    // Other processes make channels, too.
    if (this.#log.supports.shared && what.patterns.some((pattern) => /[*>]/.test(pattern))) this.#upkeep.discover()
    this.#bindings.add(binding)
    for (const channel of this.#channels.all()) binding.attach(channel)
    return binding
  }

  replay<T>(pattern: string, options?: ReplayOptions): Replay<T> {
    const source = {
      log: this.#log,
      env: this.#host.env,
      streams: (tokens: readonly string[]) => this.#streamsFor(tokens),
      replayed: (one: Replayed) => this.#host.announce('message.replayed', one),
    }
    return replayOf<T>(source, pattern, options)
  }

  async cancel(id: string): Promise<number> {
    checkOption('cancel', 'id', id, aText)
    let count = this.#cancelHere(id) + (await this.#elsewhere.cancel(id))
    if (!this.#log.supports.find) return count
    const { env } = this.#host
    const host = { env, log: this.#log, buried: this.#buried.bind(this) }
    for (const channel of this.#channels.all()) count += await cancelKept(host, channel, id)
    return count
  }

  heard(from: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#closed) this.#elsewhere.heard(from, fields)
  }

  async channels(): Promise<readonly ChannelInfo[]> {
    return channelInfos(this.#log)
  }

  ledgers(): Readonly<Record<string, KeptLedger>> {
    return this.#book.ledgers()
  }

  figures(): KeptFigures {
    return this.#book.figures()
  }

  unsettled(limitMs: number): Promise<number | undefined> {
    // Asked at the end of a drain: whoever waits for what is left waits no longer.
    this.#receipts.stopped(this.#host.options.name)
    return this.#limited(this.#book.unsettled(), limitMs)
  }

  /** What the log tells of its broker. */
  told(event: LogEvent): void {
    if (!this.#closed) this.#book.told(event)
  }

  /** Counts the ledgers anew. */
  refresh(): Promise<void> {
    return this.#book.refresh()
  }

  pause(): void {
    for (const binding of this.#bindings) binding.pause()
  }

  resume(): void {
    for (const binding of this.#bindings) binding.resume()
  }

  close(limitMs: number): Promise<void> {
    this.#closed = true
    this.#book.end()
    this.#upkeep.end()
    return this.#limited(this.#close(), limitMs)
  }

  /** Settles what expired, removes what retention allows; done by itself every 15 s. */
  sweep(): Promise<void> {
    return this.#upkeep.sweep()
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#bindings].map((binding) => binding.end()))
    this.#desk.close()
    await this.#settings.onClosed?.()
  }

  /** A file must be left in order, whatever that takes; a broker may never answer, and its leases run out by themselves. */
  async #limited<T>(work: Promise<T>, limitMs: number): Promise<T | undefined> {
    if (!this.#log.supports.shared) return work
    const late = Promise.withResolvers<undefined>()
    const timer = this.#host.env.after(Math.max(0, limitMs) + GRACE_MS, () => late.resolve(undefined))
    try {
      return await Promise.race([work, late.promise])
    } finally {
      timer.cancel()
      work.catch(() => undefined)
    }
  }

  #cancelHere(id: string): number {
    let count = 0
    for (const { workers } of this.#bindings) for (const worker of workers.values()) if (worker.cancel(id)) count++
    return count
  }

  #keep(channel: Channel): KeptChannel {
    return {
      name: channel.name,
      append: (message, options, answer) =>
        this.#desk.publish(channel, message, options, answer, this.#elsewhere.addressFor(message)),
      expect: (message, note) => {
        const own: Awaited[] = []
        for (const { what, workers } of this.#bindings) {
          const worker = workers.get(channel)
          if (worker?.wants(message)) own.push({ group: shortName(worker.group), queue: what.queue.name })
        }
        const all = [...own, ...this.#elsewhere.groups(message, own)]
        this.#receipts.expect(message, note, all)
        return all.length
      },
      forget: (message) => this.#receipts.forget(message),
    }
  }

  #bindGroup(what: KeptQueue, group: string): Binding {
    const workers = new Map<Channel, GroupWorker>()
    const tokens = what.patterns.map((pattern) => parsePattern(pattern))
    const host = this.#workerHost()
    let ended = false
    const binding: Binding = {
      what,
      workers,
      wrap: this.#once.of(group),
      attach: (channel) => {
        if (ended || workers.has(channel) || !tokens.some((pattern) => channel.overlaps(pattern))) return
        const worker = new GroupWorker(host, channel, group, what)
        workers.set(channel, worker)
        void startWorker(host, worker, () => ended)
      },
      pause: () => {
        for (const worker of workers.values()) worker.pause()
      },
      resume: () => {
        for (const worker of workers.values()) worker.resume()
      },
      sweep: async (wallMs) => {
        for (const worker of workers.values()) await worker.sweep(wallMs)
      },
      end: async () => {
        ended = true
        this.#bindings.delete(binding)
        await Promise.all([...workers.values()].map((worker) => worker.end()))
        this.#receipts.ended(what.queue.name)
      },
    }
    return binding
  }

  #bindReader(what: KeptQueue): Binding {
    const reader = new LiveReader(this.#workerHost(), what, (tokens) => this.#streamsFor(tokens))
    const tokens = what.patterns.map((pattern) => parsePattern(pattern))
    const binding: Binding = {
      what,
      workers: new Map(),
      wrap: (handler) => handler,
      attach: (channel) => {
        if (tokens.some((pattern) => channel.overlaps(pattern))) for (const lane of channel.lanes) reader.add(lane)
      },
      pause: () => reader.pause(),
      resume: () => reader.resume(),
      sweep: async () => undefined,
      end: async () => {
        this.#bindings.delete(binding)
        reader.end()
      },
    }
    // Streams that are there are read as one, in the order of their storing; what comes later follows on each.
    reader.start()
    return binding
  }

  #workerHost(): WorkerHost {
    const host = this.#host
    return {
      env: host.env,
      clock: host.clock,
      wheel: host.wheel,
      options: host.options,
      far: host.far,
      log: this.#log,
      accountOf: (topic) => host.accountOf(topic),
      announce: (event, fields) => host.announce(event, fields),
      fail: (name, message, outcome, reason, error) => host.fail(name, message, outcome, reason, error),
      guard: (run) => host.guard(run),
      respond: (request, data, from, options) => host.respond(request, data, from, options),
      settled: (message, group, { tell }, done) => {
        this.#receipts.tell(message, done.name, done)
        if (tell !== undefined) this.#elsewhere.tell(tell, message, shortName(group), done)
      },
      buried: (channel, record, message) => this.#buried(channel, record, message),
      startIn: (stream, from) => this.#startIn(stream, from),
    }
  }

  #buried(channel: Channel, record: DeadRecord, message: Message): void {
    this.#book.died(channel.policy, record, message)
    this.#burials.buried(channel, record, message)
  }

  #drop(stream: string, group: string, offset: string, error: BusError): boolean {
    for (const { workers } of this.#bindings) {
      for (const worker of workers.values())
        if (worker.group === group && worker.drop(stream, offset, error)) return true
    }
    return false
  }

  #discarded(channel: string, record: DeadRecord, message: Message): void {
    const { session } = message
    if (session === undefined) return
    for (const { workers } of this.#bindings) {
      for (const worker of workers.values()) {
        if (worker.channel.name === channel && worker.group === record.group) worker.halts.release(session)
      }
    }
  }

  /** Streams of lanes that may hold messages of the pattern. */
  async #streamsFor(tokens: readonly string[]): Promise<readonly string[]> {
    const streams = (await this.#log.streams()).map((one) => one.stream)
    // Those of other processes, too.
    if (this.#log.supports.shared) for (const stream of streams) this.#channels.named(channelOf(stream))
    const lanes = new Set(
      this.#channels
        .all()
        .filter((channel) => channel.overlaps(tokens))
        .flatMap((channel) => channel.lanes),
    )
    return streams.filter((stream) => lanes.has(stream))
  }

  async #startIn(stream: string, from: StartFrom | undefined): Promise<ConsumeOptions['from'] | undefined> {
    if (from === undefined || typeof from === 'string') return from
    if ('time' in from) return { since: from.time }
    const place = readPlace('offset' in from ? from.offset : from.after)
    if (place.stream === stream && 'after' in from) return { after: place.offset }
    const since = await storedAt(this.#log, place.stream, place.offset)
    return since === undefined ? 'now' : { since }
  }
}
