import { BusError } from '../../kit/errors.ts'
import { fromJson } from '../../message/codec.ts'
import type { Message } from '../../message/message.ts'
import type { Clocks } from '../../message/restore.ts'
import type { Item } from '../log.ts'
import { textOf } from '../sqlite/encode.ts'

// Hot path: a message is the JSON text of `jsonCodec`, as in the file of the sqlite log; its id stands at a fixed place of it.

const MOST_BYTES = 2_097_152

/** What an append needs of an item. */
export interface Packed {
  readonly id: string
  readonly key: string | undefined
  /** The message as it is stored. */
  readonly text: string
  /** What goes with it, but for the number of the stream: a plain item, or the fields of another one. */
  readonly way: 'p' | 'a' | readonly unknown[]
}

/** The text of a message. Throws what the codec throws, and PAYLOAD_TOO_LARGE. */
export function packMessageText(message: Message): string {
  const text = textOf(message)
  // A character has at most three bytes: only long texts are measured.
  if (text.length * 3 > MOST_BYTES && Buffer.byteLength(text) > MOST_BYTES) {
    const bytes = Buffer.byteLength(text)
    throw new BusError(
      'PAYLOAD_TOO_LARGE',
      `the message "${message.topic}" has ${bytes} bytes as JSON; allowed: ${MOST_BYTES}`,
      { details: { field: 'bytes', bytes, allowed: MOST_BYTES } },
    )
  }
  return text
}

/** An item as it is stored. Throws as {@link packMessageText} does. */
export function packItem(item: Item): Packed {
  const { message, delayMs = 0, note } = item
  const { id, session, expiresAt } = message
  const text = packMessageText(message)
  const key = item.key === false ? undefined : (item.key ?? id)
  if (
    delayMs > 0 ||
    note !== undefined ||
    session !== undefined ||
    expiresAt !== undefined ||
    (key !== undefined && key !== id)
  ) {
    const way = [
      key ?? false,
      delayMs > 0 ? Math.ceil(delayMs) : false,
      expiresAt === undefined ? '' : String(expiresAt),
      session ?? '',
      note ?? false,
    ]
    return { id, key, text, way }
  }
  return { id, key, text, way: key === undefined ? 'a' : 'p' }
}

/** What an item of the stream with this number needs, before its text. */
export function wayOf({ way }: Packed, stream: number): unknown {
  return typeof way === 'string' ? `${way}${stream}` : [stream, ...way]
}

/** The rest of the head of a message that goes along. */
export function restOf({ expiresAt, session }: Message): string {
  return `,,${expiresAt ?? ''},${session ?? ''}`
}

/** The message in the bytes of an entry; undefined when they are none. */
export function unpackMessage(bytes: Buffer, clocks: Clocks): Message | undefined {
  try {
    return fromJson(JSON.parse(bytes.toString()), clocks)
  } catch {
    return undefined
  }
}

/** An entry as XRANGE answers it. */
export interface RawEntry {
  readonly offset: number
  readonly head: Buffer
  readonly message: Buffer
  readonly note: Buffer | undefined
}

/** Reads an answer of XRANGE; what has no head and message counts as not there. */
export function rawEntries(reply: unknown): RawEntry[] {
  const found: RawEntry[] = []
  for (const [id, pairs] of reply as readonly (readonly [Buffer, readonly Buffer[]])[]) {
    let head: Buffer | undefined
    let message: Buffer | undefined
    let note: Buffer | undefined
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const name = (pairs[at] as Buffer).toString('latin1')
      if (name === 'h') head = pairs[at + 1]
      else if (name === 'm') message = pairs[at + 1]
      else if (name === 'n') note = pairs[at + 1]
    }
    const offset = Number.parseInt(id.toString('latin1'), 10)
    if (head !== undefined && message !== undefined) found.push({ offset, head, message, note })
  }
  return found
}

/** When an entry was stored, from its head. */
export function storedAtOf(head: Buffer): number {
  return Number.parseInt(head.toString('latin1', 0, Math.max(0, head.indexOf(44))), 10)
}
