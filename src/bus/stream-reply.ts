import { BusError, isBusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'
import type { FailureReason, Outcome } from './ack.ts'
import type { Delivery } from './delivery.ts'
import type { Poured } from './far/side.ts'
import type { Chunk, ReplyStream } from './publisher.ts'
import { Pending, type RequestTable } from './request.ts'
import { StreamBuffer, type StreamSetup } from './stream.ts'

/** Most parts that are collected when a streamed answer meets a request for a single one. */
const MOST_COLLECTED = 1_000

/** Waits for the parts of one streamed answer. The stream's own time limit replaces the deadline of the request. */
export class StreamRequest extends Pending {
  readonly kind = 'stream'
  readonly buffer: StreamBuffer
  unlisten: (() => void) | undefined = undefined

  constructor(table: RequestTable, frame: Delivery | undefined, setup: Omit<StreamSetup, 'onCancel' | 'onEnd'>) {
    super(table, frame)
    this.buffer = new StreamBuffer({
      ...setup,
      onCancel: (reason) => this.close(asCancel(reason)),
      onEnd: () => {
        this.unlisten?.()
        this.close(undefined)
      },
    })
  }

  /** A part that came as a single answer. */
  answered(answer: Message): void {
    this.buffer.write(answer.data).catch((error: unknown) => this.buffer.fail(error))
  }

  override pour(part: unknown): Promise<void> {
    return this.buffer.write(part)
  }

  override complete(): void {
    this.buffer.complete()
  }

  override settled(
    name: string,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
  ): void {
    if (!this.over && outcome === 'handled' && value !== undefined) {
      this.buffer.write(value, { final: true }).catch((fault: unknown) => this.buffer.fail(fault))
    }
    super.settled(name, outcome, undefined, reason, error)
  }

  fail(error: BusError): void {
    // The producer first: once the stream has ended, nobody would tell it any more.
    this.close(error)
    this.buffer.fail(error)
  }

  /** Never due: the buffer watches the time between parts. */
  timeUp(): void {
    this.fail(new BusError('STREAM_TIMEOUT', `no answer from "${this.message.topic}"`))
  }
}

function asCancel(reason: unknown): BusError {
  return isBusError(reason) ? reason : new BusError('CANCELLED', 'the stream was cancelled', { cause: reason })
}

const NO_METADATA = Object.freeze({})

/** The requester's end of a streamed answer. Leaving the loop of the last observer stops the producer. */
export class ReplyStreamView<T> implements ReplyStream<T> {
  readonly #buffer: StreamBuffer<T>

  constructor(buffer: StreamBuffer<T>) {
    this.#buffer = buffer
  }

  get id(): string {
    return this.#buffer.setup.id
  }

  async *chunks(from: number = 0): AsyncGenerator<Chunk<T>, void, undefined> {
    let ended = false
    try {
      for await (const chunk of this.#read(from)) {
        ended = chunk.final
        yield chunk
      }
      if (!ended) yield this.#last(NO_METADATA)
    } catch (error) {
      yield this.#last(Object.freeze({ error }))
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const chunk of this.#read(0)) yield chunk.data
  }

  async *#read(from: number): AsyncGenerator<Chunk<T>, void, undefined> {
    try {
      yield* this.#buffer.read(from)
    } finally {
      if (this.#buffer.readers === 0) this.cancel('the last observer left')
    }
  }

  /** The chunk that says how the stream ended. */
  #last(metadata: Readonly<Record<string, unknown>>): Chunk<T> {
    const { totalChunks: index, setup } = this.#buffer
    const time = setup.clock.wallMs(setup.clock.readMs())
    return {
      streamId: setup.id,
      index,
      data: undefined as T,
      final: true,
      size: 0,
      checksum: undefined,
      metadata,
      time,
    }
  }

  cancel(reason: unknown = 'cancelled by the requester'): void {
    this.#buffer.cancel(reason)
  }
}

/**
 * Runs a handler's generator: its parts go to the stream of the request; to `requestMany` as one answer each; to a single request
 * as a list; to nobody otherwise. Ends early, and returns the generator, when the delivery is aborted.
 */
export async function pourParts(
  delivery: Delivery,
  parts: AsyncIterable<unknown>,
  target: Poured | undefined,
): Promise<unknown> {
  const iterator = parts[Symbol.asyncIterator]()
  const { signal } = delivery
  let onAbort = (): void => undefined
  signal.addEventListener('abort', () => onAbort(), { once: true })
  const nextPart = (): Promise<IteratorResult<unknown> | 'aborted'> =>
    new Promise((resolve, reject) => {
      // One callback that is replaced, not a race: racing a long-lived promise would keep something for every part.
      onAbort = () => resolve('aborted')
      if (signal.aborted) resolve('aborted')
      else iterator.next().then(resolve, reject)
    })
  const collected: unknown[] = []
  // Not awaited: a generator that hangs would never come back from its return.
  const giveUp = (reason: unknown): never => {
    Promise.resolve(iterator.return?.()).catch(() => undefined)
    throw reason
  }
  for (;;) {
    const step = await nextPart()
    if (step === 'aborted') return giveUp(signal.reason)
    if (step.done) break
    delivery.extend()
    if (target?.kind === 'stream') await target.pour(step.value).catch(giveUp)
    else if (target?.kind === 'one') {
      if (collected.length >= MOST_COLLECTED) {
        throw new BusError('STREAM_FULL', `a single request gets at most ${MOST_COLLECTED} parts; use requestStream`)
      }
      collected.push(step.value)
    } else if (target !== undefined) delivery.reply(step.value)
  }
  if (target?.kind === 'stream') target.complete()
  return target?.kind === 'one' ? collected : undefined
}
