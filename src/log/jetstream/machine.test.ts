import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Settled } from '../log.ts'
import { figuresOf } from './figures.ts'
import { Machine, type MachineEvents, MOST_STEP_MS } from './machine.ts'
import type { EntryHead } from './part.ts'
import { type Batch, type Op, PER_RECORD } from './records.ts'
import type { Holder, Slot } from './slot.ts'
import { machineOf, type Snapshot, takeSnapshot } from './snapshot.ts'

const silent: MachineEvents = { reserved() {}, left() {}, died() {}, grown() {}, lost() {} }

/** A machine and the records that made it. */
function rig(events: Partial<MachineEvents> = {}) {
  const machine = new Machine('c', { ...silent, ...events })
  let seq = 0
  let at = 1_000_000
  const counts = new Map<string, number>()
  return {
    machine,
    pass: (ms: number) => void (at += ms),
    entry(session?: string, delay: number = 0): number {
      machine.applyEntry(++seq, at, { part: 'a', bytes: 10, session, expires: Number.POSITIVE_INFINITY, delay })
      return seq * PER_RECORD
    },
    ask(instance: string, ...ops: Op[]) {
      const n = (counts.get(instance) ?? 0) + 1
      counts.set(instance, n)
      return machine.applyBatch(++seq, at, { i: instance, n, ops })
    },
    raw: (batch: Batch) => machine.applyBatch(++seq, at, batch),
  }
}

const enter = (c: string, most: number = 10, wait: number = 30_000): Op => ({
  t: 'in',
  c,
  p: 'a',
  g: 'g',
  f: 'first',
  most,
  wait,
})
const tick: Op = { t: 'tick' }

function slotsOf(machine: Machine, id: string): Slot[] {
  return [...(machine.holders.get(id)?.holder.slots ?? [])].sort((x, y) => x.offset - y.offset)
}

const one = ({ offset, token }: Slot) => ({ p: 'a', g: 'g', o: offset, k: token })
const list = (...slots: Slot[]) => ({ p: 'a', g: 'g', o: slots.flatMap(({ offset, token }) => [offset, token]) })

test('an entry is set aside for a consumer that has room, the oldest first, and the next as soon as one is settled', () => {
  const { machine, entry, ask } = rig()
  ask('i', enter('x', 2))
  const offsets = [entry(), entry(), entry()]
  expect(slotsOf(machine, 'x').map(({ offset }) => offset)).toEqual(offsets.slice(0, 2))
  expect(ask('i', { t: 'ack', ...list(slotsOf(machine, 'x')[0] as Slot) })).toEqual([[]])
  expect(slotsOf(machine, 'x').map(({ offset }) => offset)).toEqual(offsets.slice(1))
})

test('[I15] a settlement with a token from before changes nothing, and is counted', () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 1, 100))
  entry()
  const [slot] = slotsOf(machine, 'x') as [Slot]
  const before = one(slot)
  ask('i', { t: 'start', ...list(slot) })
  pass(150)
  ask('i', tick)
  expect(slot.attempts).toBe(1)
  expect(ask('i', { t: 'settle', ...before, as: 'acked' }, { t: 'extend', ...before, ms: 1 })).toEqual([false, false])
  const group = machine.group('a', 'g')
  expect(group?.counts.acked).toBe(0)
  expect(group?.stale).toBe(2)
})

test('[I14] a step of the server clock ends no lease: time moves on by little from one record to the next', () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 1, 30_000))
  entry()
  const [slot] = slotsOf(machine, 'x') as [Slot]
  ask('i', { t: 'start', ...list(slot) })
  pass(3_600_000)
  ask('i', tick)
  expect(machine.now).toBe(MOST_STEP_MS)
  pass(-7_200_000)
  ask('i', tick)
  expect(ask('i', { t: 'settle', ...one(slot), as: 'acked' })).toEqual([true])
})

test('[I6] entries of a session go to its owner alone, and wait while it has no room', () => {
  const { machine, entry, ask } = rig()
  ask('i', enter('x', 1))
  ask('j', enter('y', 5))
  const [first, second] = [entry('s'), entry('s')]
  const other = entry('t')
  expect(slotsOf(machine, 'x').map(({ offset }) => offset)).toEqual([first])
  expect(slotsOf(machine, 'y').map(({ offset }) => offset)).toEqual([other])
  ask('i', { t: 'ack', ...list(slotsOf(machine, 'x')[0] as Slot) })
  expect([...slotsOf(machine, 'x'), ...slotsOf(machine, 'y')].map(({ offset }) => offset).sort()).toEqual([
    second,
    other,
  ])
})

test('[I6] a lease that runs out takes the later ones of its session with it, uncounted', () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 3, 100))
  for (let count = 0; count < 3; count++) entry('s')
  const slots = slotsOf(machine, 'x')
  ask('i', { t: 'start', ...list(slots[0] as Slot) })
  pass(50)
  ask('i', { t: 'start', ...list(slots[1] as Slot, slots[2] as Slot) })
  const tokens = slots.map(({ token }) => token)
  pass(60)
  ask('i', tick)
  expect(slots.map(({ attempts }) => attempts)).toEqual([1, 0, 0])
  expect(slots.every(({ token }, at) => token !== tokens[at])).toBe(true)
})

test('[I17] a lease of a suspect that runs out before its handler began is no attempt, one that runs out behind it is', () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 3, 100))
  entry()
  const slot = slotsOf(machine, 'x')[0] as Slot
  const seen: number[] = []
  for (const begins of [false, false, true]) {
    if (begins) ask('i', { t: 'begin', ...list(slot) })
    else ask('i', { t: 'start', ...list(slot) })
    pass(150)
    ask('i', tick)
    seen.push(slot.attempts)
  }
  expect(seen).toEqual([1, 1, 2])
})

test('[I17] the death of a process counts as an attempt for handlers that ran, and makes what it held suspect', () => {
  const { machine, entry, ask } = rig()
  ask('i', enter('x', 3))
  for (let count = 0; count < 3; count++) entry()
  const slots = slotsOf(machine, 'x')
  ask('i', { t: 'begin', ...list(slots[0] as Slot) }, { t: 'start', ...list(slots[1] as Slot) })
  ask('j', { t: 'dead', i: 'i' })
  ask('j', enter('y', 0 + 3))
  expect(slots.map(({ attempts }) => attempts)).toEqual([1, 0, 0])
  expect(slots[0]?.suspect && slots[1]?.suspect).toBe(true)
})

test('a batch that was sent twice is applied once, also when later ones came before', () => {
  const { machine, raw } = rig()
  const join = (n: number, g: string): Batch => ({ i: 'i', n, ops: [{ t: 'join', p: 'a', g, f: 'first' }] })
  expect(raw(join(1, 'one'))).toEqual([true])
  expect(raw(join(3, 'three'))).toEqual([true])
  expect(raw(join(2, 'two'))).toEqual([true])
  for (const n of [1, 2, 3]) expect(raw(join(n, 'again'))).toBeUndefined()
  expect([...machine.groups.values()].map(({ name }) => name)).toEqual(['one', 'three', 'two'])
})

test('what is set aside for a process that fell silent goes to others, and what it has begun stays with it', () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 2))
  entry()
  entry()
  ask('i', { t: 'start', ...list(slotsOf(machine, 'x')[0] as Slot) })
  ask('j', enter('y', 5))
  for (let second = 0; second < 7; second++) {
    pass(1_000)
    ask('j', tick)
  }
  expect(slotsOf(machine, 'x').length).toBe(1)
  expect(slotsOf(machine, 'y').length).toBe(1)
})

test("a time in which nobody could be heard of is nobody's silence: what is set aside stays when the server was away", () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 2))
  const offsets = [entry('s'), entry('s')]
  ask('j', enter('y', 2))
  // The longest time that passes for the machine, and then as long as the other one takes to come back.
  for (const ms of [60_000, 500]) {
    pass(ms)
    ask('j', { t: 'want', c: 'y' })
  }
  expect(slotsOf(machine, 'x').map(({ offset }) => offset)).toEqual(offsets)
  pass(1_000)
  ask('j', tick)
  expect(slotsOf(machine, 'y').map(({ offset }) => offset)).toEqual(offsets)
})

test('what is set aside for a process that fell silent goes back at the tick of whoever waits, however shortly before another one ticked', () => {
  const { machine, entry, ask, pass } = rig()
  ask('i', enter('x', 2))
  const offset = entry('s')
  ask('j', enter('y', 2))
  ask('j', { t: 'want', c: 'y' })
  pass(1_000)
  ask('j', tick)
  pass(700)
  ask('k', tick)
  expect(slotsOf(machine, 'x').length).toBe(1)
  pass(300)
  ask('j', tick)
  expect(slotsOf(machine, 'y').map((slot) => slot.offset)).toEqual([offset])
})

type Step = readonly [kind: number, pick: number, more: number]

/** Makes a record of three numbers: whatever they are, it is one that a process could have sent. */
function record(machine: Machine, [kind, pick, more]: Step, groups: readonly string[]): Op | undefined {
  const g = groups[pick % groups.length] as string
  const ids = ['x', 'y', 'z']
  const id = `${g}.${ids[more % 3]}`
  const held = [...(machine.holders.get(id)?.holder.slots ?? [])].sort((x, y) => x.offset - y.offset)
  const slot = held[pick % Math.max(1, held.length)]
  const as = (['acked', 'dead', 'expired', 'dropped', 'skipped'] as Settled[])[more % 5] as Settled
  const at = slot === undefined ? undefined : { p: 'a', g, o: slot.offset, k: slot.token }
  switch (kind) {
    case 0:
      return { t: 'in', c: id, p: 'a', g, f: 'first', most: 1 + (pick % 5), wait: 500 }
    case 1:
      return { t: 'out', c: id }
    case 2:
      return at && { t: 'settle', ...at, as, ...(more % 2 === 0 && { a: { s: 'c/dead', l: 5 } }) }
    case 3:
      return at && { t: 'nack', ...at, d: (more % 3) * 300, u: more % 2 === 0, h: more % 4 === 0 }
    case 4:
      return at && { t: 'ack', p: 'a', g, o: held.flatMap(({ offset, token }) => [offset, token]) }
    case 5:
      return at && { t: more % 2 === 0 ? 'start' : 'begin', p: 'a', g, o: [at.o, at.k] }
    case 6:
      return at && { t: 'free', p: 'a', g, o: [at.o, at.k] }
    case 7:
      return { t: 'settleAt', p: 'a', g, o: (1 + (more % 60)) * PER_RECORD, as }
    case 8:
      return { t: 'trim', p: 'a', maxCount: more % 10 }
    case 9:
      return more % 5 === 0 ? { t: 'leave', p: 'a', g } : { t: 'want', c: id }
    case 10:
      return { t: 'dead', i: `i${more % 3}` }
    default:
      return tick
  }
}

/** Whoever gets an entry gets none while an earlier one of its session could go. */
function inOrder(machine: Machine, slot: Slot): void {
  if (slot.session === undefined) return
  for (const { slots } of machine.groups.values()) {
    if (slots.get(slot.offset) !== slot) continue
    const earlier = [...slots.values()].filter(
      ({ session, offset, state }) =>
        session === slot.session && offset < slot.offset && (state === 'ready' || state === 'behind'),
    )
    expect(earlier.map(({ offset }) => offset)).toEqual([])
  }
}

function check(machine: Machine): void {
  for (const group of machine.groups.values()) {
    const owners = new Map<string, Holder>()
    for (const holder of group.holders) {
      expect(holder.slots.size).toBeLessThanOrEqual(holder.most)
      let reserved = 0
      for (const slot of holder.slots) {
        expect(group.slots.get(slot.offset)).toBe(slot)
        if (slot.state === 'reserved') reserved++
        if (slot.session === undefined) continue
        expect(owners.get(slot.session) ?? holder).toBe(holder)
        owners.set(slot.session, holder)
      }
      expect(holder.reserved).toBe(reserved)
    }
    // Nothing that may go is kept from somebody who has room for it.
    const free = group.holders.some(({ hasRoom }) => hasRoom)
    expect([
      free && group.cursor < group.part.end && !group.done.has(group.part.offsetAt(group.cursor)),
      'unmet',
      machine.seq,
    ]).toEqual([false, 'unmet', machine.seq])
    for (const slot of group.slots.values()) {
      const owner = slot.session === undefined ? undefined : owners.get(slot.session)
      if (slot.state === 'behind')
        expect([owner?.hasRoom ?? false, 'behind', slot.offset, machine.seq]).toEqual([
          false,
          'behind',
          slot.offset,
          machine.seq,
        ])
      if (slot.state === 'ready')
        expect([owner === undefined ? free : owner.hasRoom, 'ready', slot.offset, machine.seq]).toEqual([
          false,
          'ready',
          slot.offset,
          machine.seq,
        ])
    }
    const info = figuresOf(group, machine.now, machine.wall)
    const met = group.slots.size
    const unmet = group.part.end - group.cursor - [...group.done].filter((offset) => group.part.has(offset)).length
    expect(info.pending + info.leased + info.delayed).toBe(met + unmet)
  }
}

test('[I10] [I6] whatever is asked for in whatever order, the balance holds, a session has one owner, and a process that begins with a snapshot comes to the same state', () => {
  const step = fc.tuple(fc.integer({ min: -4, max: 12 }), fc.nat(1_000), fc.nat(1_000))
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 160, size: 'max' }), fc.nat(100), (steps, share) => {
      const machine: Machine = new Machine('c', { ...silent, reserved: (_, slot) => inOrder(machine, slot) })
      const heads: EntryHead[] = []
      let other: Machine | undefined
      let at = 1_000_000
      const cut = Math.floor((steps.length * share) / 100)
      for (const [index, [kind, pick, more]] of steps.entries()) {
        const seq = index + 1
        at += more % 400
        const machines = other === undefined ? [machine] : [machine, other]
        if (kind < 0) {
          const session = pick % 3 === 0 ? undefined : `s${pick % 4}`
          const entry = {
            part: 'a',
            bytes: 10,
            session,
            expires: Number.POSITIVE_INFINITY,
            delay: more % 5 === 0 ? 700 : 0,
          }
          for (const each of machines) each.applyEntry(seq, at, entry)
          heads.push({
            offset: seq * PER_RECORD,
            at: machine.wall,
            bytes: 10,
            session,
            expires: Number.POSITIVE_INFINITY,
          })
        } else {
          const op = record(machine, [kind, pick, more], ['g', 'h'])
          const batch = { i: `i${pick % 3}`, n: seq, ops: op === undefined ? [] : [op] }
          const results = machines.map((each) => each.applyBatch(seq, at, batch))
          if (results.length > 1) expect(results[1]).toEqual(results[0])
        }
        check(machine)
        if (other !== undefined) expect(plain(other)).toEqual(plain(machine))
        if (index === cut) {
          const snapshot = JSON.parse(JSON.stringify(takeSnapshot(machine))) as Snapshot
          other = machineOf('c', snapshot, new Map([['a', heads]]), silent)
        }
      }
    }),
    { numRuns: 300 },
  )
})

/** A machine without what depends on the order in which a process has come to know things. */
function plain(machine: Machine): unknown {
  const snapshot = takeSnapshot(machine)
  const groups = snapshot.groups.map((group) => ({
    ...group,
    slots: group.slots.toSorted((x, y) => x.o - y.o),
    done: group.done.toSorted(),
  }))
  return { ...snapshot, groups }
}
