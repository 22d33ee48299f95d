import type { Settled } from '../log.ts'

// What is written into the JetStream stream of a channel. Its order there is the order in which things happen.

/** Offsets leave room for so many entries in one record: the record of sequence 12 holds 12000, 12001 … */
export const PER_RECORD = 1_000

/** An entry that a settlement takes along; its bytes lie behind the head of the record. */
export interface AlongOp {
  /** The whole name of the stream. */
  readonly s: string
  readonly n?: string
  /** Bytes of the message. */
  readonly l: number
  /** Its session, and when it expires. */
  readonly e?: string
  readonly x?: number
}

/** Where a group begins. */
export type FromOp = 'first' | 'now' | { readonly after: number } | { readonly since: number }

/** One thing that an instance asks for. Deliveries are named by offset and lease token. */
export type Op =
  | { readonly t: 'join'; readonly p: string; readonly g: string; readonly f: FromOp }
  | { readonly t: 'leave'; readonly p: string; readonly g: string }
  /** A consumer begins, and ends. */
  | ({ readonly t: 'in' } & ConsumerOp)
  | { readonly t: 'out'; readonly c: string }
  /** A consumer waits while others may have more than they need. */
  | { readonly t: 'want'; readonly c: string }
  /** What is reserved for a consumer goes back. */
  | ({ readonly t: 'free' } & ListOp)
  /** Leases begin to run. */
  | ({ readonly t: 'start' } & ListOp)
  /** Handlers start. */
  | ({ readonly t: 'begin' } & ListOp)
  | ({ readonly t: 'ack' } & ListOp)
  | ({ readonly t: 'settle'; readonly as: Settled; readonly a?: AlongOp } & OneOp)
  | {
      readonly t: 'settleAt'
      readonly p: string
      readonly g: string
      readonly o: number
      readonly as: Settled
      readonly a?: AlongOp
    }
  | ({ readonly t: 'nack'; readonly d: number; readonly n?: string; readonly u: boolean; readonly h: boolean } & OneOp)
  | ({ readonly t: 'extend'; readonly ms: number } & OneOp)
  | ({ readonly t: 'trim'; readonly p: string } & TrimOp)
  /** Nothing but the passing of time. */
  | { readonly t: 'tick' }
  /** The instance ends · another one is gone. */
  | { readonly t: 'bye' }
  | { readonly t: 'dead'; readonly i: string }
  /** Records are gone that nothing stands for: all go on with what is there. */
  | { readonly t: 'lost'; readonly from: number; readonly to: number }
  /** An entry that went along to another channel lies there. */
  | { readonly t: 'sent'; readonly o: number }

/** A consumer as it is told to all. */
export interface ConsumerOp {
  readonly c: string
  readonly p: string
  readonly g: string
  readonly f: FromOp
  readonly most: number
  readonly wait: number
}

/** Deliveries of one group: offset, token, offset, token … */
export interface ListOp {
  readonly p: string
  readonly g: string
  readonly o: readonly number[]
}

/** One delivery. */
export interface OneOp {
  readonly p: string
  readonly g: string
  readonly o: number
  readonly k: number
}

/** The options of a trim. */
export interface TrimOp {
  readonly before?: number
  readonly maxCount?: number
  readonly maxBytes?: number
  readonly storedBefore?: number
}

/** What an instance asked for at once. */
export interface Batch {
  /** The instance, and the number of this batch among its own. */
  readonly i: string
  readonly n: number
  readonly ops: readonly Op[]
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const NEWLINE = 10

/** A batch as bytes: one line of JSON, then the messages that go along, in order. */
export function encodeBatch(batch: Batch, bodies: readonly Uint8Array[]): Uint8Array {
  const head = encoder.encode(`${JSON.stringify(batch)}\n`)
  if (bodies.length === 0) return head
  return Buffer.concat([head, ...bodies])
}

/** The batch of a record, and where its bodies begin. Undefined for bytes that are none: somebody else's, or damaged. */
export function decodeBatch(bytes: Uint8Array): { readonly batch: Batch; readonly bodiesAt: number } | undefined {
  const end = bytes.indexOf(NEWLINE)
  if (end < 0) return undefined
  try {
    const batch = JSON.parse(decoder.decode(bytes.subarray(0, end))) as Batch
    if (typeof batch.i !== 'string' || !Number.isSafeInteger(batch.n) || !Array.isArray(batch.ops)) return undefined
    return { batch, bodiesAt: end + 1 }
  } catch {
    return undefined
  }
}

/** The message that the `index`th entry of the record takes along (from 1 on), and its note. */
export function alongBody(
  bytes: Uint8Array,
  index: number,
): { readonly op: AlongOp; readonly body: Uint8Array } | undefined {
  const decoded = decodeBatch(bytes)
  if (decoded === undefined) return undefined
  let at = decoded.bodiesAt
  let count = 0
  for (const op of decoded.batch.ops) {
    const along = 'a' in op ? op.a : undefined
    if (along === undefined) continue
    if (++count === index) return { op: along, body: bytes.subarray(at, at + along.l) }
    at += along.l
  }
  return undefined
}

/** What is written beside an entry's message, when there is something. */
export interface EntryMeta {
  /** Session · wall-clock time of expiry · milliseconds before any group gets it · note · name of the part, where its token is a hash. */
  readonly s?: string
  readonly x?: number
  readonly d?: number
  readonly n?: string
  readonly p?: string
}

/** The header that carries {@link EntryMeta}. */
export const META_HEADER = 'Swarmbus'

/** The offset of an entry in a record. */
export function offsetOf(seq: number, index: number): number {
  return seq * PER_RECORD + index
}

/** The sequence of the record in which an entry lies. */
export function seqOf(offset: number): number {
  return Math.floor(offset / PER_RECORD)
}
