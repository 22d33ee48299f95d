import { BusError, describeThrown, isBusError } from '../../kit/errors.ts'
import type { MessageId } from '../../message/ids.ts'
import type { Message } from '../../message/message.ts'
import { type Appended, channelOf, type Item } from '../log.ts'
import { textOf } from '../sqlite/encode.ts'
import { type Body, metaOf } from './bodies.ts'
import { ensureStream, type StreamSettings } from './bootstrap.ts'
import type { Channel } from './channel.ts'
import { type Io, jsonIn, NO_STREAM, type Stored } from './io.ts'
import { nameOfToken, type PartName, partOf, streamOfPart } from './names.ts'
import { mustFit } from './place.ts'
import { type EntryMeta, META_HEADER, offsetOf, seqOf } from './records.ts'
import type { Reserve } from './reserve.ts'

// Hot path: one record for each message, published without waiting for the one before.

/** Stores messages: idempotent by their keys, which the server compares. */
export class Appender {
  readonly #io: Io
  readonly #settings: StreamSettings
  readonly #reserve: Reserve
  readonly #channelFor: (name: string) => Channel
  readonly #ensured = new Map<string, Promise<unknown>>()
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(io: Io, settings: StreamSettings, reserve: Reserve, channelFor: (name: string) => Channel) {
    this.#io = io
    this.#reserve = reserve
    this.#settings = settings
    this.#channelFor = channelFor
  }

  /** The message as it is stored. Throws INVALID_PAYLOAD, PAYLOAD_TOO_LARGE. */
  encode(message: Message): Uint8Array {
    const bytes = Buffer.from(textOf(message))
    mustFit(this.#io, bytes.length, message.topic)
    return bytes
  }

  append(stream: string, items: readonly Item[], texts: readonly Uint8Array[]): Promise<readonly Appended[]> {
    const appending = this.#append(stream, items, texts)
    this.#underWay.add(appending)
    const over = (): void => void this.#underWay.delete(appending)
    appending.then(over, over)
    return appending
  }

  /** Where the message of a key lies. */
  async find(name: string, key: string): Promise<{ readonly stream: string; readonly offset: string } | undefined> {
    const channel = this.#channelFor(name)
    try {
      const seq = await this.#io.find(`${channel.names.root}f`, idOf(key))
      const place = seq === undefined ? undefined : await this.#placeOf(channel, seq)
      return place === undefined ? undefined : { stream: place.stream, offset: place.offset }
    } catch (error) {
      if (isBusError(error) && error.details.errCode === NO_STREAM) return undefined
      throw error
    }
  }

  /** Stores what went along to another channel: once, however often it is brought. */
  async forward(stream: string, id: string, { bytes, note }: Body): Promise<void> {
    const channel = this.#channelFor(channelOf(stream))
    await this.#ensure(channel)
    const message = JSON.parse(new TextDecoder().decode(bytes)) as { session?: string; expiresAt?: number }
    const part = channel.names.part(partOf(stream))
    const meta = metaText(stream, part, message, 0, note)
    await this.#io.publish(subjectOf(channel, part, meta), bytes, headersOf(idOf(id), meta))
  }

  /** What is under way is answered. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#underWay])
  }

  async #append(stream: string, items: readonly Item[], texts: readonly Uint8Array[]): Promise<readonly Appended[]> {
    const channel = this.#channelFor(channelOf(stream))
    try {
      await this.#ensure(channel)
    } catch (error) {
      throw new BusError(
        'STORE_FAILED',
        `nothing was stored, for the channel "${channel.names.channel}" cannot be reached: ${describeThrown(error)}`,
        { cause: error },
      )
    }
    // What this process knows of its deliveries goes before.
    channel.sender.flush()
    const part = channel.names.part(partOf(stream))
    const publish = (item: Item, index: number): Promise<Stored> => {
      const { message, key = message.id, delayMs = 0, note } = item
      const meta = metaText(stream, part, message, delayMs, note)
      const headers = headersOf(key === false ? undefined : idOf(key), meta)
      return this.#io.publish(subjectOf(channel, part, meta), texts[index] as Uint8Array, headers)
    }
    if (items.length === 1) {
      // Nothing to be gathered: the way of nearly all messages.
      const item = items[0] as Item
      const stored = await publish(item, 0).catch((error: BusError) => {
        if (error.details.errCode !== NO_STREAM) throw failure(items, [error], true)
      })
      if (stored !== undefined) {
        const { seq, duplicate } = stored
        const answer: Appended = { id: item.message.id, offset: String(offsetOf(seq, 0)), stream, duplicate }
        if (duplicate) return [await this.#first(channel, answer)]
        channel.sawEntries(partOf(stream), seq, seq)
        return [answer]
      }
    }
    let results = await Promise.allSettled(items.map(publish))
    if (results.every((one) => one.status === 'rejected' && (one.reason as BusError).details.errCode === NO_STREAM)) {
      // The stream is gone: nothing was stored, and a new one takes it.
      this.#ensured.delete(channel.names.channel)
      await this.#ensure(channel)
      results = await Promise.allSettled(items.map(publish))
    }
    const failed = results.filter((one) => one.status === 'rejected')
    if (failed.length > 0)
      throw failure(
        items,
        failed.map(({ reason }) => reason as BusError),
        failed.length === items.length,
      )
    const stored = results.map((one) => (one as PromiseFulfilledResult<Stored>).value)
    const fresh = stored.filter(({ duplicate }) => !duplicate)
    if (fresh.length > 0) channel.sawEntries(partOf(stream), (fresh[0] as Stored).seq, (fresh.at(-1) as Stored).seq)
    const answers = stored.map(
      ({ seq, duplicate }, index): Appended => ({
        ...{ id: (items[index] as Item).message.id, offset: String(offsetOf(seq, 0)), stream, duplicate },
      }),
    )
    return stored.some(({ duplicate }) => duplicate)
      ? Promise.all(answers.map((one) => this.#first(channel, one)))
      : answers
  }

  /** The answer for a repeat names the first one. */
  async #first(channel: Channel, answer: Appended): Promise<Appended> {
    if (!answer.duplicate) return answer
    const place = await this.#placeOf(channel, seqOf(Number(answer.offset)))
    return place === undefined ? answer : { ...answer, id: place.id, stream: place.stream }
  }

  async #placeOf(
    channel: Channel,
    seq: number,
  ): Promise<{ stream: string; offset: string; id: MessageId } | undefined> {
    const record = await this.#io.get(channel.names.stream, { seq })
    if (record === undefined) return undefined
    const subject = record.subject.slice(channel.names.root.length)
    const part = metaOf(record.header(META_HEADER)).p ?? nameOfToken(subject.slice(4)) ?? ''
    const { id } = jsonIn<{ id: MessageId }>(record)
    return { stream: streamOfPart(channel.names.channel, part), offset: String(offsetOf(seq, 0)), id }
  }

  #ensure(channel: Channel): Promise<unknown> {
    const { channel: name } = channel.names
    let ensured = this.#ensured.get(name)
    if (ensured === undefined) {
      ensured = ensureStream(this.#io, channel.names, this.#settings).then((details) => {
        channel.met(details)
        this.#reserve.make()
      })
      this.#ensured.set(name, ensured)
      ensured.catch(() => this.#ensured.delete(name))
    }
    return ensured
  }
}

function failure(items: readonly Item[], reasons: readonly BusError[], none: boolean): BusError {
  const ids = items.map(({ message }) => message.id)
  const cause = reasons[0] as BusError
  const details = { id: ids[0], ids }
  const unknown = reasons.some((one) => isBusError(one, 'BROKER_TIMEOUT'))
  if (unknown || !none) {
    const text = unknown ? cause.message : 'some of the messages were stored, others were refused'
    return new BusError('PUBLISH_UNKNOWN', `it is not known whether all was stored: ${text}`, { cause, details })
  }
  if (isBusError(cause, 'STORE_FULL')) return cause
  return new BusError('STORE_FAILED', `nothing was stored: ${cause.message}`, { cause, details })
}

function subjectOf(channel: Channel, { token }: PartName, meta: string | undefined): string {
  return `${channel.names.root}e.${meta === undefined ? 'p' : 'm'}.${token}`
}

function headersOf(id: string | undefined, meta: string | undefined): string | undefined {
  if (id === undefined) return meta === undefined ? undefined : `${META_HEADER}: ${meta}`
  return meta === undefined ? `Nats-Msg-Id: ${id}` : `Nats-Msg-Id: ${id}\r\n${META_HEADER}: ${meta}`
}

const PLAIN_ID = /^[a-zA-Z0-9_-]+$/

/** A key in characters that a header may have. */
function idOf(key: string): string {
  return PLAIN_ID.test(key) ? key : encodeURIComponent(key.toWellFormed())
}

function metaText(
  stream: string,
  part: PartName,
  { session, expiresAt }: { readonly session?: string | undefined; readonly expiresAt?: number | undefined },
  delayMs: number,
  note: string | undefined,
): string | undefined {
  if (session === undefined && expiresAt === undefined && delayMs <= 0 && note === undefined && !part.hashed)
    return undefined
  const meta: EntryMeta = {
    ...(session !== undefined && { s: session }),
    ...(expiresAt !== undefined && { x: expiresAt }),
    ...(delayMs > 0 && { d: Math.ceil(delayMs) }),
    ...(note !== undefined && { n: note }),
    ...(part.hashed && { p: partOf(stream) }),
  }
  return JSON.stringify(meta)
}
