import { crc32 } from 'node:zlib'

// Hot path: how records lie in the buffers that travel between the store and its thread. Each record starts at a multiple of 8, so
// that both sides use aligned views; numbers are in the byte order of the machine, for a buffer never leaves the process.
//
//   u32 × 4   bytes of the whole record with padding · stream (an index into a list beside) or kind · key kind · key bytes
//   f64 × 5   offset · total · storedAt · dueAt (-1: none) · expiresAt (-1: none)       ┐
//   u32 × 2   bytes of the note (NO_NOTE: none) · bytes of the body                     │ what the checksum covers
//   note, body                                                                          ┘
//   key       UTF-8, when its kind says so
//
// The stored checksum covers these very bytes: a file can be read by machines of the same byte order (all that Node runs on but
// s390x are little-endian); on another one every record would be reported as damaged, never taken for something else.

/** Bytes before what the checksum covers. */
export const PREFIX = 16
/** Bytes of the numbers that the checksum covers. */
export const HEADER = 48
/** Bytes from the start of a record to its note. */
export const HEAD = PREFIX + HEADER
/** The length of a note that is not there: an empty note is another thing. */
export const NO_NOTE = 0xffff_ffff
/** Stands for a time that is not there. */
export const NO_TIME = -1

/** No key · the id at the start of the body is the key · the key follows the body. */
export const KEY_NONE = 0
export const KEY_IS_ID = 1
export const KEY_TEXT = 2
/** What the thread writes over the total of a record that is a repeat and was not stored again. */
export const REPEATED = -1

/** The kinds of records in a page. */
export const KIND_STORED = 0
export const KIND_DAMAGED = 1
export const KIND_LOST = 2

/** Where the id lies in the JSON of a message: behind `{"v":1,"id":"`. */
export const ID_AT = 13
/** Characters of an id. */
export const ID_LENGTH = 36

/** Up to the next multiple of 8. */
export function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

/** A buffer of records with the views that both sides use. */
export interface Records {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly numbers: Float64Array
}

/** The views of a buffer. */
export function recordsIn(buffer: ArrayBuffer): Records {
  return { bytes: Buffer.from(buffer), words: new Uint32Array(buffer), numbers: new Float64Array(buffer) }
}

/** A buffer that grows; doubling keeps the copying linear. */
export function grown(records: Records, used: number, needed: number): Records {
  if (used + needed <= records.bytes.length) return records
  let size = Math.max(records.bytes.length, 1_024)
  while (size < used + needed) size *= 2
  const larger = recordsIn(new ArrayBuffer(size))
  larger.bytes.set(records.bytes.subarray(0, used))
  return larger
}

/** The checksum of a record that lies at `at`: over its numbers, note and body. */
export function checksumAt(records: Records, at: number): number {
  const noteBytes = records.words[(at >> 2) + 14] as number
  const bodyBytes = records.words[(at >> 2) + 15] as number
  const end = at + HEAD + (noteBytes === NO_NOTE ? 0 : noteBytes) + bodyBytes
  return crc32(records.bytes.subarray(at + PREFIX, end))
}

/** The columns of an entry, in the order in which they are read. */
export const COLUMNS = 'offset, total, stored_at, due_at, expires_at, note, crc, body'

/** An entry as its row was read; a damaged row may hold anything. */
export type Row = readonly unknown[]

/**
 * Writes a row of {@link COLUMNS} as a record at `at`, making room, and compares its checksum. Gives back the records and the end of
 * the new one; `end` is `at` when the row cannot be trusted.
 */
export function writeRow(records: Records, at: number, row: Row): { readonly records: Records; readonly end: number } {
  const [offset, total, storedAt, dueAt, expiresAt, note, crc, body] = row
  const sound =
    typeof total === 'number' &&
    typeof storedAt === 'number' &&
    (dueAt === null || typeof dueAt === 'number') &&
    (expiresAt === null || typeof expiresAt === 'number') &&
    (note === null || note instanceof Uint8Array) &&
    body instanceof Uint8Array
  if (!sound) return { records, end: at }
  const noteBytes = note === null ? 0 : note.length
  const size = padded(HEAD + noteBytes + body.length)
  const room = grown(records, at, size)
  const { bytes, words, numbers } = room
  const number = (at + PREFIX) >> 3
  numbers[number] = offset as number
  numbers[number + 1] = total
  numbers[number + 2] = storedAt
  numbers[number + 3] = dueAt ?? NO_TIME
  numbers[number + 4] = expiresAt ?? NO_TIME
  const word = at >> 2
  words[word + 14] = note === null ? NO_NOTE : noteBytes
  words[word + 15] = body.length
  if (note !== null) bytes.set(note, at + HEAD)
  bytes.set(body, at + HEAD + noteBytes)
  if (checksumAt(room, at) !== crc) return { records: room, end: at }
  words[word] = size
  words[word + 1] = KIND_STORED
  words[word + 2] = KEY_NONE
  words[word + 3] = 0
  return { records: room, end: at + size }
}

/** Writes that an offset has no entry that can be trusted. */
export function writeBad(
  records: Records,
  at: number,
  offset: number,
  kind: typeof KIND_DAMAGED | typeof KIND_LOST,
): { readonly records: Records; readonly end: number } {
  const room = grown(records, at, HEAD)
  const word = at >> 2
  room.words.fill(0, word, word + HEAD / 4)
  room.words[word] = HEAD
  room.words[word + 1] = kind
  room.words[word + 14] = NO_NOTE
  room.numbers[(at + PREFIX) >> 3] = offset
  return { records: room, end: at + HEAD }
}

/** A small whole-number hash of two numbers, for rows that have no bytes: a flipped bit of either changes it. */
export function checkOfPair(one: number, two: number): number {
  let hash = 0x9e37_79b9
  for (const part of [one % 0x1_0000_0000, one / 0x1_0000_0000, two % 0x1_0000_0000, two / 0x1_0000_0000]) {
    hash = Math.imul(hash ^ (part >>> 0), 0x85eb_ca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}

/** The checksum of a list of numbers and texts, for the small rows. */
export function checkOfParts(parts: readonly (number | string | null)[], bytes: Uint8Array = NO_BYTES): number {
  return crc32(bytes, crc32(JSON.stringify(parts)))
}

const NO_BYTES = new Uint8Array(0)
