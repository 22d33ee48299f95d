import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { BusError } from '../../kit/errors.ts'

// The acknowledged high-water mark, kept apart from the database: `FILE-mark`. A flipped bit in the middle of a WAL makes SQLite
// drop every later commit without a word; only a second witness can tell. Two slots are written in turn, each with its own
// checksum, so that a torn write spoils one of them and never both:
//
//   u32 magic · u32 slot bytes · f64 sequence · u32 streams · u32 bytes · { f64 next · u32 name bytes · name, padded } … · u32 crc
//
// The mark is written (pwrite) after each commit and before its answer, so it survives kill -9 at once. It is brought to the disk at
// most every 100 ms, and that is enough: after a power cut the mark may lie 100 ms behind, and a mark that is too low accuses nobody
// wrongly. What it guards then is everything older; the last 100 ms are guarded by the commits themselves, which were synced.

const MAGIC = 0x5377_4d6b
const FIXED = 24
const MIN_SLOT = 4_096
const MAX_SLOT = 1 << 30

/** What a mark says: the next offset of each stream. */
export type Marked = ReadonlyMap<string, number>

interface Slot {
  readonly sequence: number
  readonly streams: Map<string, number>
}

function readSlot(bytes: Buffer, at: number): Slot | undefined {
  if (at + FIXED + 4 > bytes.length || bytes.readUInt32LE(at) !== MAGIC) return undefined
  const count = bytes.readUInt32LE(at + 16)
  const used = bytes.readUInt32LE(at + 20)
  if (used < FIXED || at + used + 4 > bytes.length) return undefined
  if (crc32(bytes.subarray(at, at + used)) !== bytes.readUInt32LE(at + used)) return undefined
  const streams = new Map<string, number>()
  let place = at + FIXED
  for (let index = 0; index < count; index++) {
    const length = bytes.readUInt32LE(place + 8)
    streams.set(bytes.toString('utf8', place + 12, place + 12 + length), bytes.readDoubleLE(place))
    place += 12 + length
  }
  return { sequence: bytes.readDoubleLE(at + 8), streams }
}

/**
 * What the mark beside `file` says; undefined when there is none, `damaged` when it is there and neither slot can be read. Changes
 * nothing.
 */
export function readMark(path: string): Marked | undefined | 'damaged' {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined
    throw error
  }
  // The second slot lies behind the first, whose size is a power of two: when the first one is spoilt, it is searched for.
  let newest = readSlot(bytes, 0)
  for (let at = MIN_SLOT; at < bytes.length; at *= 2) {
    const slot = readSlot(bytes, at)
    if (slot !== undefined && (newest === undefined || slot.sequence > newest.sequence)) newest = slot
  }
  return newest === undefined ? 'damaged' : newest.streams
}

/** Writes the mark. */
export interface Mark {
  /** Notes the next offset of a stream; kept with the next {@link Mark.write}. */
  note(stream: string, next: number): void
  /** Writes what was noted. Throws what the file system throws; then everything is written again the next time. */
  write(): void
  /** Brings it to the disk. */
  sync(): void
  close(): void
}

/** Opens the mark, made anew with what is known: written beside, synced, and put in its place. */
export function openMark(path: string, known: Marked): Mark {
  const places = new Map<string, number>()
  const nexts = new Map<string, number>(known)
  let descriptor: number | undefined
  let image = Buffer.alloc(MIN_SLOT)
  let used = FIXED
  let slotBytes = MIN_SLOT
  let sequence = 0
  let turn = 0
  let changed = false
  let unsynced = false

  function layOut(): void {
    let needed = FIXED + 4
    for (const name of nexts.keys()) needed += 12 + Buffer.byteLength(name)
    // Room for as much again, so that new streams seldom cause a new file.
    slotBytes = MIN_SLOT
    while (slotBytes < needed * 2) slotBytes *= 2
    if (slotBytes > MAX_SLOT) throw new BusError('STORE_FAILED', `${path}: the mark would have more than 1 GiB`)
    image = Buffer.alloc(slotBytes)
    places.clear()
    used = FIXED
    for (const [name, next] of nexts) place(name, next)
  }

  function place(name: string, next: number): void {
    const length = image.write(name, used + 12)
    image.writeDoubleLE(next, used)
    image.writeUInt32LE(length, used + 8)
    places.set(name, used)
    used += 12 + length
  }

  function seal(): number {
    image.writeUInt32LE(MAGIC, 0)
    image.writeUInt32LE(slotBytes, 4)
    image.writeDoubleLE(++sequence, 8)
    image.writeUInt32LE(places.size, 16)
    image.writeUInt32LE(used, 20)
    image.writeUInt32LE(crc32(image.subarray(0, used)), used)
    return used + 4
  }

  function rewrite(): void {
    layOut()
    const fresh = `${path}.new`
    const next = openSync(fresh, 'w', 0o600)
    try {
      seal()
      writeSync(next, image, 0, slotBytes, 0)
      seal()
      writeSync(next, image, 0, slotBytes, slotBytes)
      fsyncSync(next)
      renameSync(fresh, path)
      syncFolder(dirname(path))
    } catch (error) {
      closeSync(next)
      throw error
    }
    if (descriptor !== undefined) closeSync(descriptor)
    descriptor = next
  }

  rewrite()
  return {
    note(stream, next) {
      nexts.set(stream, next)
      changed = true
      const at = places.get(stream)
      if (at !== undefined) image.writeDoubleLE(next, at)
    },
    write() {
      if (!changed) return
      if (places.size < nexts.size) {
        for (const [name, next] of nexts) {
          if (places.has(name)) continue
          if (used + 16 + Buffer.byteLength(name) > slotBytes) {
            rewrite()
            break
          }
          place(name, next)
        }
      }
      const length = seal()
      turn = 1 - turn
      writeSync(descriptor as number, image, 0, length, turn * slotBytes)
      changed = false
      unsynced = true
    },
    sync() {
      if (!unsynced || descriptor === undefined) return
      fdatasyncSync(descriptor)
      unsynced = false
    },
    close() {
      if (descriptor === undefined) return
      try {
        this.sync()
      } finally {
        closeSync(descriptor)
        descriptor = undefined
      }
    },
  }
}

/** A renamed file is only safe once its folder is. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
