import { BusError } from '../kit/errors.ts'

/** What follows one type byte: bytes to skip, and values inside. */
interface Head {
  /** Bytes after the type byte and its length. */
  readonly skip: number
  /** Values that follow; undefined for a value without any. */
  readonly values: number | undefined
  /** Bytes of the length itself. */
  readonly sized: number
}

/**
 * Walks over MessagePack without making any value: exactly one value, no claim of more values or bytes than there are, at most
 * `maxNesting` levels, no extension types. Takes time and room in proportion to the bytes. Throws DECODE_FAILED with the position.
 */
export function scanMsgpack(bytes: Uint8Array, maxNesting: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const open: number[] = []
  let owed = 1
  let at = 0
  while (owed > 0) {
    if (at >= bytes.length) fault(at, 'it ends too early')
    const { skip, values, sized } = headAt(view, at)
    owed--
    if (open.length > 0) open[open.length - 1]!--
    at += 1 + sized + skip
    if (at > bytes.length) fault(bytes.length, 'it ends too early')
    if (values !== undefined) {
      owed += values
      // Every value takes at least one byte.
      if (owed > bytes.length - at) fault(at, `it claims ${owed} more values than it has bytes for`)
      open.push(values)
      if (open.length > maxNesting) fault(at, `it has more than ${maxNesting} levels`)
    }
    while (open.at(-1) === 0) open.pop()
  }
  if (at < bytes.length) fault(at, 'bytes follow after the message')
}

function fault(position: number, text: string): never {
  throw new BusError('DECODE_FAILED', `malformed MessagePack at byte ${position}: ${text}`, {
    details: { field: 'bytes', position },
  })
}

function plain(skip: number): Head {
  return { skip, values: undefined, sized: 0 }
}

/** The length that follows the type byte, `size` bytes wide. */
function lengthAt(view: DataView, at: number, size: number): number {
  if (at + 1 + size > view.byteLength) fault(view.byteLength, 'it ends too early')
  if (size === 1) return view.getUint8(at + 1)
  return size === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1)
}

// https://github.com/msgpack/msgpack/blob/master/spec.md, "Formats"
const FIXED: Readonly<Record<number, number>> = {
  192: 0,
  194: 0,
  195: 0,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
}
const SIZED: Readonly<Record<number, number>> = { 196: 1, 197: 2, 198: 4, 217: 1, 218: 2, 219: 4 }
const LISTS: Readonly<Record<number, readonly [size: number, values: number]>> = {
  220: [2, 1],
  221: [4, 1],
  222: [2, 2],
  223: [4, 2],
}

function headAt(view: DataView, at: number): Head {
  const type = view.getUint8(at)
  if (type < 0x80 || type >= 0xe0) return plain(0)
  if (type < 0x90) return { skip: 0, values: (type & 0x0f) * 2, sized: 0 }
  if (type < 0xa0) return { skip: 0, values: type & 0x0f, sized: 0 }
  if (type < 0xc0) return plain(type & 0x1f)
  const fixed = FIXED[type]
  if (fixed !== undefined) return plain(fixed)
  const size = SIZED[type]
  if (size !== undefined) return { skip: lengthAt(view, at, size), values: undefined, sized: size }
  const list = LISTS[type]
  if (list === undefined) return fault(at, `type 0x${type.toString(16)} is not used in messages`)
  return { skip: 0, values: lengthAt(view, at, list[0]) * list[1], sized: list[0] }
}
