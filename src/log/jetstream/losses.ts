import type { Gap } from '../log.ts'
import type { Machine } from './machine.ts'
import { streamOfPart } from './names.ts'
import type { Part } from './part.ts'
import { offsetOf } from './records.ts'

/** Entries that the server had acknowledged, and lost together with their numbers: what it stores from then on bears the same ones. */
export interface Loss {
  /** By the name of the part. */
  readonly gaps: ReadonlyMap<string, Gap>
  /** What is stored instead begins there: 0 when nothing is left of what was. */
  readonly place: number
  /** None of them was stored after this wall-clock time. */
  readonly wall: number
}

/** What this process knows to have been there and to be gone. A process that begins later never knew it: for that one nothing is missing. */
export class Losses {
  readonly #channel: string
  #all: readonly Loss[] = []
  /** First and last offset that this process has stored and not found lost, by part. */
  readonly #stored = new Map<string, { from: number; to: number }>()

  constructor(channel: string) {
    this.#channel = channel
  }

  /** Oldest first, and so by their places. */
  get all(): readonly Loss[] {
    return this.#all
  }

  /** The server has acknowledged these entries. */
  stored(part: string, from: number, to: number): void {
    const known = this.#stored.get(part)
    if (known === undefined) this.#stored.set(part, { from, to })
    else if (to > known.to) known.to = to
  }

  /** All records from this sequence on are gone. `machine` knows of those that were followed. */
  add(seq: number, machine: Machine): void {
    const first = seq === 1 ? 0 : offsetOf(seq, 0)
    const gaps = new Map<string, Gap>()
    for (const name of new Set([...machine.parts.keys(), ...this.#stored.keys()])) {
      const followed = keptFrom(machine.parts.get(name), first)
      const stored = this.#stored.get(name)
      if (stored !== undefined && stored.from >= first) this.#stored.delete(name)
      const ends = [
        followed,
        stored && stored.to >= first ? { ...stored, from: Math.max(stored.from, first) } : undefined,
      ]
      const known = ends.filter((one) => one !== undefined)
      if (stored !== undefined) stored.to = Math.min(stored.to, first - 1)
      if (known.length === 0) continue
      const from = String(Math.min(...known.map((one) => one.from)))
      const to = String(Math.max(...known.map((one) => one.to)))
      gaps.set(name, { type: 'gap', stream: streamOfPart(this.#channel, name), from, to, reason: 'lost' })
    }
    const wall = machine.seq > 0 ? machine.wall : Number.POSITIVE_INFINITY
    const before = this.#all.map((one) => ({ ...one, place: Math.min(one.place, first) }))
    this.#all = [...before, { gaps, place: first, wall }]
  }

  /** Those of one part. */
  of(part: string): Gap[] {
    return this.#all.flatMap(({ gaps }) => gaps.get(part) ?? [])
  }
}

/** First and last of the entries from an offset on. */
function keptFrom(part: Part | undefined, offset: number): { from: number; to: number } | undefined {
  if (part === undefined) return undefined
  const number = part.numberFrom(offset)
  return number < part.end ? { from: part.offsetAt(number), to: part.next - 1 } : undefined
}
