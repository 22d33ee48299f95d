import type { SnapshotHead } from './bootstrap.ts'
import type { StreamRecord } from './follow.ts'
import type { Place } from './place.ts'
import { seqOf } from './records.ts'
import { takeSnapshot } from './snapshot.ts'

const EVERY_RECORDS = 50_000
const EVERY_BYTES = 64 * 1_024 * 1_024

/**
 * Keeps the stream of a channel small. Nothing is removed but what a snapshot stands for; and of the operations, those stay that follow
 * the snapshot before the newest, for a process that is just beginning with it.
 */
export class Janitor {
  readonly #channel: Place
  #records = 0
  #bytes = 0
  #newest: SnapshotHead | undefined
  #before: SnapshotHead | undefined
  #cleaning: Promise<void> | undefined

  constructor(channel: Place) {
    this.#channel = channel
  }

  /** A record was applied. */
  saw({ subject, data }: StreamRecord): void {
    if (subject === 's') {
      this.#before = this.#newest
      this.#newest = JSON.parse(new TextDecoder().decode(data)) as SnapshotHead
      this.#records = 0
      this.#bytes = 0
      return
    }
    if (subject[0] === 'e' || subject === 't') return
    this.#records++
    this.#bytes += data.length
    if (this.#records < EVERY_RECORDS && this.#bytes < EVERY_BYTES) return
    // One does it: the first of all by name, and the others when it does not.
    const first = [...this.#channel.machine.instances.keys()].sort()[0]
    if (first === this.#channel.sender.instance || this.#records > EVERY_RECORDS * 2) {
      this.clean().catch(() => undefined)
    }
  }

  /** Stores a snapshot, and removes what is not needed any more. */
  clean(): Promise<void> {
    this.#cleaning ??= this.#clean().finally(() => {
      this.#cleaning = undefined
    })
    return this.#cleaning
  }

  async #clean(): Promise<void> {
    const { names, machine, hall } = this.#channel
    const { io } = hall
    const snapshot = takeSnapshot(machine)
    const trimmed = [...machine.parts.values()].map(({ name, first }) => ({ name, first }))
    const alongs = snapshot.parts.flatMap((part) => part.alongs.slice(0, 1).map(([offset]) => seqOf(offset)))
    const outgoing = snapshot.outgoing.map(([offset]) => seqOf(offset))
    const bytes = new TextEncoder().encode(JSON.stringify(snapshot))
    const most = Math.floor((io.link.connection.info?.max_payload ?? 1_048_576) * 0.9)
    const pieces: number[] = []
    for (let at = 0; at < bytes.length; at += most) {
      pieces.push((await io.publish(`${names.root}t`, bytes.subarray(at, at + most), undefined)).seq)
    }
    const head: SnapshotHead = { v: 1, seq: snapshot.seq, pieces }
    const stored = await io.publish(`${names.root}s`, new TextEncoder().encode(JSON.stringify(head)), undefined)
    await this.#channel.reached(stored.seq)
    const purge = async (filter: string, seq: number): Promise<void> => {
      if (seq > 1) await io.must(`STREAM.PURGE.${names.stream}`, { filter: names.root + filter, seq })
    }
    for (const { name, first } of trimmed) await purge(`e.*.${names.part(name).token}`, seqOf(first))
    const before = this.#before
    if (before === undefined) return
    await purge('o', before.seq)
    await purge('x', before.seq)
    await purge('a', Math.min(before.seq, ...alongs, ...outgoing))
    await purge('t', Math.min(...before.pieces))
    await io.must(`STREAM.PURGE.${names.stream}`, { filter: `${names.root}s`, keep: 2 })
  }
}
