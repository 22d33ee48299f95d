import type { Gap } from '../log.ts'
import type { Body } from './bodies.ts'
import type { Part } from './part.ts'
import type { LocalConsumer, Place, Supplies } from './place.ts'
import { seqOf } from './records.ts'

/** Messages that were fetched for those who have not taken them yet. */
const MOST_FETCHED = 4_096

/** Gets messages for the consumers of a channel, and finds out what is not there any more. */
export class Supply implements Supplies {
  readonly #channel: Place
  /** All in the channel begin anew without this record. */
  readonly #missed: (seq: number) => void
  readonly #loading = new Map<number, Promise<void>>()
  readonly #fetched = new Map<number, Body | 'lost'>()
  readonly #checking = new Set<number>()

  constructor(channel: Place, missed: (seq: number) => void) {
    this.#channel = channel
    this.#missed = missed
  }

  /** The message of an entry that was set aside will be asked for. */
  prefetch(offset: number): void {
    if (this.#channel.bodies.get(offset) === undefined && !this.#fetched.has(offset)) this.load(offset, undefined)
  }

  /** What was loaded, once. */
  loaded(offset: number): Body | 'lost' | undefined {
    const found = this.#fetched.get(offset)
    if (found !== undefined) this.#fetched.delete(offset)
    return found
  }

  load(offset: number, local: LocalConsumer | undefined): void {
    let loading = this.#loading.get(offset)
    if (loading === undefined) {
      loading = this.#channel.bodies.load(offset).then(
        (body) => {
          this.#loading.delete(offset)
          this.#fetched.set(offset, body ?? 'lost')
          for (const oldest of this.#fetched.keys()) {
            if (this.#fetched.size <= MOST_FETCHED) break
            this.#fetched.delete(oldest)
          }
        },
        () => {
          this.#loading.delete(offset)
        },
      )
      this.#loading.set(offset, loading)
    }
    if (local !== undefined) void loading.then(() => this.#channel.env.nextTurn(() => local.pump()))
  }

  /** A group has met an entry that cannot be read. */
  damaged(part: Part, offset: number, reason: 'damaged' | 'lost'): void {
    const text = String(offset)
    if (part.gaps.some(({ from, to }) => from === text && to === text)) return
    const gap: Gap = { type: 'gap', stream: part.stream, from: text, to: text, reason }
    part.gaps.push(gap)
    this.#channel.hall.onDamage(gap)
    if (reason === 'lost') void this.missed(part.name, offset)
  }

  /** The server has no record for an entry that is known here. Unless that was trimmed meanwhile, it is lost. */
  async missed(partName: string, offset: number): Promise<void> {
    const seq = seqOf(offset)
    if (this.#checking.has(seq)) return
    this.#checking.add(seq)
    const { names, hall } = this.#channel
    try {
      await this.#channel.sync()
      const part = this.#channel.machine.parts.get(partName)
      if (part === undefined || !part.has(offset)) return
      if ((await hall.io.get(names.stream, { seq })) === undefined) this.#missed(seq)
    } catch {
      // Whoever meets it next looks again.
    } finally {
      this.#checking.delete(seq)
    }
  }
}
