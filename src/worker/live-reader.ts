import type { FailureReason, Outcome } from '../bus/ack.ts'
import type { Delivery, DeliveryOwner, Note } from '../bus/delivery.ts'
import type { KeptQueue } from '../bus/kept.ts'
import { isBusError } from '../kit/errors.ts'
import type { Gap, ReadOptions } from '../log/log.ts'
import { Envelope, type Message } from '../message/message.ts'
import { parsePattern } from '../message/topic.ts'
import { interestOf } from './interest.ts'
import { readPlace } from './places.ts'
import { readStory } from './record.ts'
import { replayOf } from './replay.ts'
import { sleepUntil } from './sleep.ts'
import type { WorkerHost } from './worker-host.ts'

/** Most messages that a subscription has in hand while it reads what was before. */
const WINDOW = 1_000
/** Milliseconds before what met a fault of the log tries again. */
const AGAIN_MS = 1_000

/**
 * A subscription that reads on its own: what was kept first, in the order of its storing, then what is stored, without hole or
 * duplicate. It remembers nothing: the next one begins where it is told.
 */
export class LiveReader {
  readonly #host: WorkerHost
  readonly #what: KeptQueue
  readonly #patterns: readonly (readonly string[])[]
  readonly #wants: (message: Message) => boolean
  readonly #streams: (tokens: readonly string[]) => Promise<readonly string[]>
  readonly #stop = new AbortController()
  /** Where following begins: behind the last entry that was read. Undefined: with the first. */
  readonly #read = new Map<string, string | undefined>()
  readonly #following = new Set<string>()
  readonly #later = new Set<string>()
  readonly #unknown: (readonly string[])[] = []
  readonly #sinceMs: number
  #caughtUp = false
  #inHand = 0
  #paused = false
  #wake: (() => void) | undefined

  constructor(host: WorkerHost, what: KeptQueue, streams: (tokens: readonly string[]) => Promise<readonly string[]>) {
    this.#host = host
    this.#what = what
    this.#sinceMs = Math.floor(host.env.wallMs())
    this.#streams = streams
    this.#wants = interestOf(what)
    this.#patterns = what.patterns.map((pattern) => parsePattern(pattern))
  }

  start(): void {
    void this.#begin()
  }

  /** A stream that may hold messages for it. */
  add(stream: string): void {
    if (!this.#caughtUp) this.#later.add(stream)
    else this.#follow(stream)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#wake?.()
  }

  end(): void {
    this.#stop.abort()
    this.#wake?.()
  }

  async #begin(): Promise<void> {
    const streams = new Set<string>()
    try {
      for (const pattern of this.#patterns) for (const one of await this.#streams(pattern)) streams.add(one)
      await this.#catchUp(streams)
    } catch (error) {
      // What it had read it does not read again: from here on each stream goes on by itself.
      if (!(await this.#again(undefined, error))) return
      for (const pattern of this.#patterns) this.#unknown.push(pattern)
    }
    this.#caughtUp = true
    for (const stream of new Set([...streams, ...this.#later])) this.#follow(stream)
    await this.#findUnknown()
  }

  /** Streams that could not be asked for are looked for until the log answers. */
  async #findUnknown(): Promise<void> {
    for (let pattern = this.#unknown[0]; pattern !== undefined; pattern = this.#unknown[0]) {
      try {
        for (const stream of await this.#streams(pattern)) this.#follow(stream)
        this.#unknown.shift()
      } catch (error) {
        if (!(await this.#again(undefined, error))) return
      }
    }
  }

  async #catchUp(streams: ReadonlySet<string>): Promise<void> {
    const { from } = this.#what
    const { signal } = this.#stop
    const source = { log: this.#host.log, env: this.#host.env, streams: async () => [...streams] }
    const { name } = this.#what.queue
    const start = from === undefined || from === 'now' ? 'first' : from
    const onGap = (gap: Gap): void => this.#host.announce('log.gap', { gap, name })
    // One reading over all streams keeps their order; what does not fit is left out below.
    for await (const one of replayOf(source, '>', { from: start, signal, onGap }).entries()) {
      const { message, offset } = one
      const place = readPlace(offset)
      this.#read.set(place.stream, place.offset)
      if (this.#wants(message)) this.#host.announce('message.replayed', { ...one, name })
      await this.#hand(message)
      if (signal.aborted) return
    }
  }

  #follow(stream: string): void {
    if (this.#following.has(stream) || this.#stop.signal.aborted) return
    this.#following.add(stream)
    void this.#tail(stream)
  }

  async #tail(stream: string): Promise<void> {
    for (;;) {
      try {
        await this.#readOn(stream)
        return
      } catch (error) {
        if (!(await this.#again(stream, error))) return
      }
    }
  }

  async #readOn(stream: string): Promise<void> {
    const { signal } = this.#stop
    const { name } = this.#what.queue
    for await (const entry of this.#host.log.read(stream, { ...(await this.#startOf(stream)), follow: true, signal })) {
      if (entry.type === 'gap') this.#host.announce('log.gap', { gap: entry, name })
      else {
        this.#read.set(stream, entry.offset)
        if (readStory(entry.note).redriven === undefined) await this.#hand(entry.message)
      }
      if (signal.aborted) return
    }
  }

  /** Behind what was read; in a stream of which nothing was read, where the subscription begins. */
  async #startOf(stream: string): Promise<ReadOptions> {
    const after = this.#read.get(stream)
    if (after !== undefined) return { after }
    const start = await this.#host.startIn(stream, this.#what.from)
    if (start === 'now') return { since: this.#sinceMs }
    return typeof start === 'object' ? start : {}
  }

  async #hand(message: Message): Promise<void> {
    const { filter, queue } = this.#what
    if (!this.#wants(message)) return
    if (filter !== undefined && !this.#passes(filter, message)) return
    while ((this.#inHand >= WINDOW || this.#paused) && !this.#stop.signal.aborted) await this.#room()
    if (this.#stop.signal.aborted) return
    this.#inHand++
    queue.admit(
      Envelope.forGroup(message as Envelope, this.#host.accountOf(message.topic), new Counted(() => this.#done())),
    )
  }

  #passes(filter: (message: Message) => boolean, message: Message): boolean {
    try {
      return filter(message)
    } catch (error) {
      this.#host.fail(this.#what.queue.name, message as Envelope, 'failed', 'handler-error', error)
      return false
    }
  }

  #room(): Promise<void> {
    const room = Promise.withResolvers<void>()
    this.#wake = () => {
      this.#wake = undefined
      room.resolve()
    }
    return room.promise
  }

  #done(): void {
    this.#inHand--
    if (!this.#paused) this.#wake?.()
  }

  /** Tells of a fault of the log and waits; false when there is no further try. */
  async #again(stream: string | undefined, error: unknown): Promise<boolean> {
    const { signal } = this.#stop
    if (signal.aborted || isBusError(error, 'BUS_CLOSED')) return false
    const { announce, env } = this.#host
    announce('log.failed', { stream, name: this.#what.queue.name, error })
    await sleepUntil(env, env.monotonicMs() + AGAIN_MS, signal)
    return !signal.aborted
  }
}

const NOBODY: readonly DeliveryOwner[] = Object.freeze([])

/** Tells when a message is in hand no more. */
class Counted implements Note {
  readonly frame = undefined
  readonly awaited = undefined
  owners = NOBODY
  readonly cancelled = false
  readonly #done: () => void

  constructor(done: () => void) {
    this.#done = done
  }

  started(_delivery: Delivery): void {}

  settled(
    _name: string,
    _outcome: Outcome,
    _value: unknown,
    _reason: FailureReason | undefined,
    _error: unknown,
  ): void {
    this.#done()
  }
}
