import type { Gap } from '../log.ts'
import { Group } from './group.ts'
import { Machine, type MachineEvents } from './machine.ts'
import { type Marks, marksOf, missingOf } from './marks.ts'
import type { EntryHead, Part } from './part.ts'
import { offsetOf, PER_RECORD, seqOf } from './records.ts'
import { Holder, Slot, type SlotState } from './slot.ts'

/** A machine as plain values: what a process needs that did not see the records before. Entries with records of their own are left out. */
export interface Snapshot {
  readonly v: 1
  readonly seq: number
  readonly now: number
  readonly lively: number
  readonly wall: number
  readonly raw: number
  readonly tokens: number
  readonly hushed: number
  readonly parts: readonly SnapshotPart[]
  readonly groups: readonly SnapshotGroup[]
  readonly instances: readonly (readonly [string, number, readonly number[], number])[]
  readonly outgoing: readonly (readonly [number, string, string | null])[]
}

/** Offset, time, bytes, session, expiry. */
export type AlongEntry = readonly [number, number, number, string | null, number | null]

/** Older entries that came along with settlements, by part: written once, and named by all later snapshots. */
export type Segment = readonly (readonly [part: string, alongs: readonly AlongEntry[]])[]

interface SnapshotPart {
  readonly name: string
  readonly firstEver: number
  readonly lastTrimmed: number
  readonly next: number
  /** Of entries that are kept, in records of their own or not. */
  readonly count: number
  /** Entries that came along with a settlement, but for those that a {@link Segment} holds. */
  readonly alongs: readonly AlongEntry[]
  /** Which records the others lie in: what is not there any more is lost. */
  readonly marks?: Marks
  /** Holes that were found before. */
  readonly gaps: readonly Gap[]
  readonly delays: readonly (readonly [number, number, number, number])[]
}

interface SnapshotGroup {
  readonly part: string
  readonly name: string
  readonly counts: Group['counts']
  readonly start: number
  readonly total: number
  readonly stale: number
  readonly crashed: boolean
  readonly suspects: number
  readonly turn: number
  /** The first offset that it has not met. */
  readonly cursor: number
  readonly done: readonly number[]
  readonly instances: readonly string[]
  readonly holders: readonly (readonly [string, string, number, number, boolean, boolean])[]
  readonly slots: readonly SnapshotSlot[]
}

interface SnapshotSlot {
  readonly o: number
  readonly b: number
  readonly e?: string
  readonly s: SlotState
  readonly a: number
  readonly n?: string
  readonly k: number
  readonly h?: string
  readonly t: readonly [until: number, since: number, due: number, dueAt: number, delay: number]
  readonly f: readonly [held: boolean, begun: boolean, suspect: boolean]
}

/** Entries of a part that came along with a settlement, those behind an offset. */
export function alongsOf(part: Part, after: number): AlongEntry[] {
  const alongs: AlongEntry[] = []
  for (let number = part.numberFrom(after + 1); number < part.end; number++) {
    if (part.offsetAt(number) % PER_RECORD === 0) continue
    const { offset, at, bytes, session, expires } = part.headAt(number)
    alongs.push([offset, at, bytes, session ?? null, Number.isFinite(expires) ? expires : null])
  }
  return alongs
}

/** The oldest kept entry that came along with a settlement; Infinity for none. */
export function firstAlong(machine: Machine): number {
  let first = Number.POSITIVE_INFINITY
  for (const part of machine.parts.values()) {
    for (let number = part.head; number < part.end && part.offsetAt(number) < first; number++) {
      if (part.offsetAt(number) % PER_RECORD !== 0) first = part.offsetAt(number)
    }
  }
  return first
}

/** What {@link alongsOf} has written. */
export function headOfAlong([offset, at, bytes, session, expires]: AlongEntry): EntryHead {
  return { offset, at, bytes, session: session ?? undefined, expires: expires ?? Number.POSITIVE_INFINITY }
}

/** The machine as it is now. `segmentsTo`: entries that came along are known otherwise up to this offset. */
export function takeSnapshot(machine: Machine, segmentsTo: number = 0): Snapshot {
  const { seq, now, lively, wall, raw, tokens, hushedMs } = machine
  return {
    v: 1,
    ...{ seq, now, lively, wall, raw, tokens },
    hushed: hushedMs,
    parts: [...machine.parts.values()].map((part) => {
      const marks = marksOf(part)
      const delays = [...part.delays].filter(([, due]) => due.ms > now && due.wall > wall)
      const { name, firstEver, lastTrimmed, next, count } = part
      return {
        name,
        firstEver,
        lastTrimmed,
        next,
        count,
        alongs: alongsOf(part, segmentsTo),
        ...(marks !== undefined && { marks }),
        gaps: [...part.gaps],
        delays: delays.map(([o, d]) => [o, d.wall, d.ms, d.delay] as const),
      }
    }),
    groups: [...machine.groups.values()].map(groupSnapshot),
    instances: [...machine.instances].map(([id, { n, missing, heardMs }]) => [id, n, [...missing], heardMs] as const),
    outgoing: [...machine.outgoing].map(([offset, { stream, note }]) => [offset, stream, note ?? null] as const),
  }
}

function groupSnapshot(group: Group): SnapshotGroup {
  const { part, name, counts, start, total, stale, crashed, suspects, turns, cursor, done, instances, holders } = group
  return {
    ...{ part: part.name, name, counts: { ...counts }, start, total, stale, crashed, suspects, turn: turns.at },
    cursor: cursor < part.end ? part.offsetAt(cursor) : part.next,
    done: [...done],
    instances: [...instances],
    holders: holders.map(
      ({ id, instance, most, waitMs, wants, silent }) => [id, instance, most, waitMs, wants, silent] as const,
    ),
    slots: [...group.slots.values()].map((slot) => ({
      ...{ o: slot.offset, b: slot.bytes, s: slot.state, a: slot.attempts, k: slot.token },
      ...(slot.session !== undefined && { e: slot.session }),
      ...(slot.note !== undefined && { n: slot.note }),
      ...(slot.holder !== undefined && { h: slot.holder.id }),
      t: [slot.untilMs, slot.sinceMs, slot.dueMs, slot.dueAt, slot.delayMs] as const,
      f: [slot.held, slot.begun, slot.suspect] as const,
    })),
  }
}

/**
 * The machine of a snapshot. `entries` are the entries up to its sequence that are not in it, by part; `lost` is told of those with records
 * of their own that are missing.
 */
export function machineOf(
  channel: string,
  snapshot: Snapshot,
  entries: ReadonlyMap<string, readonly EntryHead[]>,
  events: MachineEvents,
  lost: (seq: number) => void = () => undefined,
): Machine {
  const machine = new Machine(channel, events)
  const { seq, now, lively, wall, raw, tokens, hushed } = snapshot
  Object.assign(machine, { seq, now, lively, wall, raw, tokens, hushedMs: hushed })
  for (const saved of snapshot.parts) {
    const part = machine.part(saved.name)
    const all = [...(entries.get(saved.name) ?? []), ...saved.alongs.map(headOfAlong)]
    all.sort((a, b) => a.offset - b.offset)
    for (const head of all) if (head.offset > saved.lastTrimmed) part.push(head)
    part.firstEver = saved.firstEver
    part.lastTrimmed = saved.lastTrimmed
    part.next = saved.next
    part.gaps.push(...saved.gaps)
    for (const [offset, dueWall, ms, delay] of saved.delays) part.delays.set(offset, { wall: dueWall, ms, delay })
  }
  for (const [id, n, missing, heardMs] of snapshot.instances)
    machine.instances.set(id, { n, missing: new Set(missing), heardMs })
  for (const [offset, stream, note] of snapshot.outgoing)
    machine.outgoing.set(offset, { stream, note: note ?? undefined })
  const missing = new Map<string, number[]>()
  for (const { name, marks } of snapshot.parts) {
    if (marks === undefined) continue
    const seqs = missingOf(
      marks,
      (entries.get(name) ?? []).map(({ offset }) => seqOf(offset)),
    )
    missing.set(name, seqs)
    for (const seq of seqs) lost(seq)
  }
  for (const saved of snapshot.groups) restoreGroup(machine, saved, missing.get(saved.part) ?? [])
  return machine
}

function restoreGroup(machine: Machine, saved: SnapshotGroup, missing: readonly number[]): void {
  const part = machine.part(saved.part)
  const group = new Group(part, saved.name, machine)
  Object.assign(group.counts, saved.counts)
  const { start, total, stale, crashed, suspects, turn } = saved
  Object.assign(group, { start, total, stale, crashed, suspects })
  group.turns.at = turn
  group.cursor = part.numberFrom(saved.cursor)
  for (const offset of saved.done) group.done.add(offset)
  // What it would have met, and cannot meet any more. What it has met is found to be lost when somebody handles it.
  for (const seq of missing) {
    const offset = offsetOf(seq, 0)
    if (offset >= Math.max(saved.cursor, start) && !group.done.delete(offset)) group.counts.dropped++
  }
  for (const id of saved.instances) group.instances.add(id)
  for (const [id, instance, most, waitMs, wants, silent] of saved.holders) {
    const holder = new Holder(id, instance, most, waitMs)
    holder.wants = wants
    holder.silent = silent
    group.turns.add(holder)
    machine.holders.set(id, { holder, group })
  }
  const behind: Slot[] = []
  for (const { o, b, e, s, a, n, k, h, t, f } of saved.slots) {
    const slot = new Slot(o, b, e)
    const [untilMs, sinceMs, dueMs, dueAt, delayMs] = t
    const [held, begun, suspect] = f
    Object.assign(slot, {
      state: s,
      attempts: a,
      note: n,
      token: k,
      untilMs,
      sinceMs,
      dueMs,
      dueAt,
      delayMs,
      held,
      begun,
      suspect,
    })
    if (s === 'behind') behind.push(slot)
    else group.restore(slot, h === undefined ? undefined : machine.holders.get(h)?.holder)
  }
  for (const slot of behind) group.restoreBehind(slot)
  machine.groups.set(`${saved.part}\n${saved.name}`, group)
}
