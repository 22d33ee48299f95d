import { channelOf } from '../log.ts'
import { Group } from './group.ts'
import { partOf } from './names.ts'
import { type EntryHead, Part } from './part.ts'
import type { AlongOp, Batch, ConsumerOp, FromOp, Op, TrimOp } from './records.ts'
import { offsetOf } from './records.ts'
import { Holder, type MachineTime, type Slot } from './slot.ts'

// The state of a channel as its records make it. Every process that follows the channel applies the same records in the same order, and
// so comes to the same state: that is how processes agree on who holds what without any lock. Pure: no I/O, no clock, no randomness.

/** Time moves on by no more than this from one record to the next: a step of the server's clock ends no lease before its time. */
export const MOST_STEP_MS = 2_000
/** Those who hold something are heard of each second or so. A longer time without records is one in which nobody could be heard of. */
const MOST_LIVELY_MS = 1_200
const HUSH_EVERY_MS = 500

/** An entry as its record brings it. */
export interface EntryRecord {
  readonly part: string
  readonly bytes: number
  readonly session: string | undefined
  readonly expires: number
  /** Milliseconds before any group gets it. */
  readonly delay: number
}

/** A process that works with the channel. */
export interface Instance {
  /** The highest batch number that was applied, and those below it that were not. */
  n: number
  readonly missing: Set<number>
  heardMs: number
}

/** An entry that belongs into another channel, and is not known to lie there yet. */
export interface Outgoing {
  readonly stream: string
  readonly note: string | undefined
}

/** What a process hears of its machine. */
export interface MachineEvents {
  /** An entry is set aside for a consumer. */
  reserved(holder: Holder, slot: Slot): void
  /** A group was forgotten, with these consumers. */
  left(holder: Holder): void
  /** The instance is taken for dead. */
  died(instance: string): void
  /** An entry has come. */
  grown(part: Part): void
  /** A process has found that these records are gone. */
  lost(from: number, to: number): void
}

/** What became of an operation: true or false, the indexes that were stale, or a number. */
export type OpResult = boolean | number | readonly number[]

export class Machine implements MachineTime {
  readonly channel: string
  readonly parts = new Map<string, Part>()
  readonly groups = new Map<string, Group>()
  readonly holders = new Map<string, { readonly holder: Holder; readonly group: Group }>()
  readonly instances = new Map<string, Instance>()
  readonly outgoing = new Map<number, Outgoing>()
  /** The sequence of the newest record that was applied. */
  seq = 0
  now = 0
  lively = 0
  wall = 0
  /** The server's clock at the newest record. */
  raw = 0
  tokens = 0
  hushedMs = 0
  /** Sequence up to which the newest applied snapshot is taken, and the one before. */
  events: MachineEvents
  readonly #dirty = new Set<Group>()
  readonly #reserved = (holder: Holder, slot: Slot): void => this.events.reserved(holder, slot)

  constructor(channel: string, events: MachineEvents) {
    this.channel = channel
    this.events = events
  }

  token(): number {
    return ++this.tokens
  }

  part(name: string): Part {
    let part = this.parts.get(name)
    if (part === undefined) this.parts.set(name, (part = new Part(this.channel, name)))
    return part
  }

  group(part: string, name: string): Group | undefined {
    return this.groups.get(keyOf(part, name))
  }

  groupsOf(part: string): Group[] {
    return [...this.groups.values()].filter((group) => group.part.name === part)
  }

  /** A record of an entry. */
  applyEntry(seq: number, at: number, entry: EntryRecord): void {
    this.#pass(seq, at)
    const offset = offsetOf(seq, 0)
    this.#push(
      entry.part,
      { offset, at: this.wall, bytes: entry.bytes, session: entry.session, expires: entry.expires },
      entry.delay,
    )
    this.#settle()
  }

  /** A record of operations. Their outcomes, in order; undefined for a batch that was applied before. */
  applyBatch(seq: number, at: number, batch: Batch): OpResult[] | undefined {
    this.#pass(seq, at)
    const results = this.#isNew(batch) ? this.#batch(seq, batch) : undefined
    this.#settle()
    return results
  }

  /** Any other record: time passes. */
  applyOther(seq: number, at: number): void {
    this.#pass(seq, at)
    this.#settle()
  }

  /** Records are gone: a gap in every part. Once more: nothing. */
  lose(from: number, to: number): void {
    const [first, last] = [String(offsetOf(from, 0)), String(offsetOf(to + 1, 0) - 1)]
    for (const { gaps, stream } of this.parts.values()) {
      if (gaps.some((gap) => gap.from === first && gap.to === last)) continue
      gaps.push({ type: 'gap', stream, from: first, to: last, reason: 'lost' })
      gaps.sort((a, b) => Number(a.from) - Number(b.from))
    }
  }

  #isNew({ i, n }: Batch): boolean {
    let instance = this.instances.get(i)
    if (instance === undefined) {
      this.instances.set(i, (instance = { n, missing: new Set(), heardMs: this.lively }))
      return true
    }
    instance.heardMs = this.lively
    if (n <= instance.n) return instance.missing.delete(n)
    for (let one = instance.n + 1; one < n && instance.missing.size < 1_000; one++) instance.missing.add(one)
    instance.n = n
    return true
  }

  #batch(seq: number, { i, ops }: Batch): OpResult[] {
    for (const { holder, group } of this.holders.values()) {
      if (!holder.silent || holder.instance !== i) continue
      holder.silent = false
      this.#dirty.add(group)
    }
    const results: OpResult[] = []
    let alongs = 0
    for (const op of ops) {
      const along = 'a' in op && op.a !== undefined ? offsetOf(seq, ++alongs) : 0
      results.push(this.#apply(i, op, along))
    }
    return results
  }

  #apply(instance: string, op: Op, along: number): OpResult {
    switch (op.t) {
      case 'join':
        this.#ensure(instance, op.p, op.g, op.f)
        return true
      case 'leave':
        return this.#leave(op.p, op.g)
      case 'in':
        this.#enter(instance, op)
        return true
      case 'out':
        return this.#out(op.c)
      case 'want': {
        const found = this.holders.get(op.c)
        if (found === undefined) return false
        found.holder.wants = true
        this.#dirty.add(found.group)
        return true
      }
      case 'tick':
        this.#hush()
        return true
      case 'bye':
      case 'dead':
        return this.#gone(op.t === 'dead' ? op.i : instance, op.t === 'dead')
      case 'sent':
        return this.outgoing.delete(op.o)
      case 'trim':
        return this.#trim(op.p, op)
      case 'lost':
        this.lose(op.from, op.to)
        this.events.lost(op.from, op.to)
        return true
      case 'settleAt': {
        const group = this.#ensure(instance, op.p, op.g, 'first')
        if (!group.settleAt(op.o, op.as)) return false
        this.#along(op.a, along)
        return true
      }
      default: {
        const group = this.group(op.p, op.g)
        if (group === undefined) return op.t === 'ack' ? op.o.filter((_, at) => at % 2 === 0).map((_, at) => at) : false
        this.#dirty.add(group)
        return this.#onGroup(group, op, along)
      }
    }
  }

  #onGroup(
    group: Group,
    op: Exclude<
      Op,
      {
        readonly t:
          | 'join'
          | 'leave'
          | 'in'
          | 'out'
          | 'want'
          | 'tick'
          | 'bye'
          | 'dead'
          | 'sent'
          | 'trim'
          | 'lost'
          | 'settleAt'
      }
    >,
    along: number,
  ): OpResult {
    switch (op.t) {
      case 'free':
        group.free(op)
        return true
      case 'start':
      case 'begin':
        return group.begin(op, op.t === 'begin')
      case 'ack':
        return group.ack(op)
      case 'settle': {
        const slot = group.holderOf(op)
        if (slot === undefined) return false
        group.settle(slot, op.as)
        this.#along(op.a, along)
        return true
      }
      case 'nack': {
        const slot = group.holderOf(op)
        if (slot !== undefined) group.nack(slot, op)
        return slot !== undefined
      }
      case 'extend': {
        const slot = group.holderOf(op)
        if (slot !== undefined) group.extend(slot, op.ms)
        return slot !== undefined
      }
      default:
        // An operation of a newer version: it means nothing here.
        op satisfies never
        return false
    }
  }

  #ensure(instance: string, partName: string, name: string, from: FromOp): Group {
    let group = this.group(partName, name)
    if (group === undefined) {
      const part = this.part(partName)
      group = new Group(part, name, this)
      group.cursor = startOf(part, from)
      group.start = group.cursor < part.end ? part.offsetAt(group.cursor) : part.next
      group.total = part.end - group.cursor
      this.groups.set(keyOf(partName, name), group)
    }
    group.instances.add(instance)
    this.#dirty.add(group)
    return group
  }

  #leave(part: string, name: string): boolean {
    const group = this.group(part, name)
    if (group === undefined) return false
    this.groups.delete(keyOf(part, name))
    this.#dirty.delete(group)
    for (const holder of [...group.holders]) {
      this.holders.delete(holder.id)
      this.events.left(holder)
    }
    return true
  }

  #enter(instance: string, { c, p, g, f, most, wait }: ConsumerOp): void {
    const group = this.#ensure(instance, p, g, f)
    if (this.holders.has(c)) return
    const holder = new Holder(c, instance, most, wait)
    this.holders.set(c, { holder, group })
    group.add(holder)
  }

  #out(id: string): boolean {
    const found = this.holders.get(id)
    if (found === undefined) return false
    this.holders.delete(id)
    found.group.remove(found.holder, false)
    this.#dirty.add(found.group)
    return true
  }

  #gone(id: string, died: boolean): boolean {
    for (const [holderId, { holder, group }] of [...this.holders]) {
      if (holder.instance !== id) continue
      this.holders.delete(holderId)
      group.remove(holder, died)
      this.#dirty.add(group)
    }
    for (const group of this.groups.values()) if (group.instances.delete(id) && died) group.crashed = true
    const known = this.instances.delete(id)
    if (died) this.events.died(id)
    return known
  }

  #along(op: AlongOp | undefined, offset: number): void {
    if (op === undefined) return
    if (channelOf(op.s) !== this.channel) {
      this.outgoing.set(offset, { stream: op.s, note: op.n })
      return
    }
    const expires = op.x ?? Number.POSITIVE_INFINITY
    this.#push(partOf(op.s), { offset, at: this.wall, bytes: op.l, session: op.e, expires }, 0)
  }

  #push(partName: string, head: EntryHead, delay: number): void {
    const part = this.part(partName)
    part.push(head)
    if (delay > 0) part.delays.set(head.offset, { wall: this.wall + delay, ms: this.now + delay, delay })
    for (const group of this.groups.values()) {
      if (group.part !== part) continue
      group.total++
      this.#dirty.add(group)
    }
    this.events.grown(part)
  }

  #trim(partName: string, { before, maxCount, maxBytes, storedBefore }: TrimOp): number {
    const part = this.parts.get(partName)
    if (part === undefined) return 0
    let wanted = part.head
    if (before !== undefined) wanted = Math.max(wanted, part.numberFrom(before))
    if (maxCount !== undefined) wanted = Math.max(wanted, part.end - maxCount)
    if (maxBytes !== undefined) wanted = Math.max(wanted, part.numberNewest(maxBytes))
    if (storedBefore !== undefined) wanted = Math.max(wanted, part.numberSince(storedBefore))
    for (const group of this.groupsOf(partName)) wanted = Math.min(wanted, group.oldestOpen())
    for (const group of this.groupsOf(partName)) group.cursor = Math.max(group.cursor, wanted)
    return part.trim(Math.min(wanted, part.end))
  }

  #pass(seq: number, at: number): void {
    this.seq = seq
    if (this.raw > 0 && at > this.raw) {
      this.now += Math.min(at - this.raw, MOST_STEP_MS)
      this.lively += Math.min(at - this.raw, MOST_LIVELY_MS)
    }
    this.raw = at
    if (at > this.wall) this.wall = at
    for (const group of this.groups.values()) if (group.expire()) this.#dirty.add(group)
    if (this.lively - this.hushedMs >= HUSH_EVERY_MS) this.#hush()
  }

  /** A tick asks for it whenever it comes: who waits sends them a second apart, and is not to wait for another one. */
  #hush(): void {
    this.hushedMs = this.lively
    const heard = (id: string): number => this.instances.get(id)?.heardMs ?? 0
    for (const group of this.groups.values()) if (group.hush(heard)) this.#dirty.add(group)
  }

  #settle(): void {
    for (const group of this.#dirty) group.fill(this.#reserved)
    this.#dirty.clear()
  }
}

function keyOf(part: string, group: string): string {
  return `${part}\n${group}`
}

function startOf(part: Part, from: FromOp): number {
  if (from === 'first') return part.head
  if (from === 'now') return part.end
  if ('after' in from) return part.numberFrom(from.after + 1)
  return part.numberSince(from.since)
}
