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
import type { WorkerHost } from './worker-host.ts'

/** Most messages that a subscription has in hand while it reads what was before. */
const WINDOW = 1_000

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
  #caughtUp = false
  #inHand = 0
  #paused = false
  #wake: (() => void) | undefined

  constructor(host: WorkerHost, what: KeptQueue, streams: (tokens: readonly string[]) => Promise<readonly string[]>) {
    this.#host = host
    this.#what = what
    this.#streams = streams
    this.#wants = interestOf(what)
    this.#patterns = what.patterns.map((pattern) => parsePattern(pattern))
  }

  start(): void {
    this.#run().catch((error: unknown) => this.#fault(error))
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

  async #run(): Promise<void> {
    const { from } = this.#what
    const { signal } = this.#stop
    const streams = new Set<string>()
    for (const pattern of this.#patterns) for (const one of await this.#streams(pattern)) streams.add(one)
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
    this.#caughtUp = true
    for (const stream of new Set([...streams, ...this.#later])) this.#follow(stream)
  }

  #follow(stream: string): void {
    if (this.#following.has(stream) || this.#stop.signal.aborted) return
    this.#following.add(stream)
    this.#tail(stream).catch((error: unknown) => this.#fault(error))
  }

  async #tail(stream: string): Promise<void> {
    const { signal } = this.#stop
    const after = this.#read.get(stream)
    const { from } = this.#what
    const options: ReadOptions = {
      follow: true,
      signal,
      ...(after !== undefined ? { after } : typeof from === 'object' && 'time' in from ? { since: from.time } : {}),
    }
    for await (const entry of this.#host.log.read(stream, options)) {
      if (entry.type === 'gap') this.#host.announce('log.gap', { gap: entry, name: this.#what.queue.name })
      else if (readStory(entry.note).redriven === undefined) await this.#hand(entry.message)
      if (signal.aborted) return
    }
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

  #fault(error: unknown): void {
    if (this.#stop.signal.aborted || isBusError(error, 'BUS_CLOSED')) return
    this.#host.announce('log.failed', { name: this.#what.queue.name, error })
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
