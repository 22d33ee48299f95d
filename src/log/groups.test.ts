import fc from 'fast-check'
import { expect, test } from 'vitest'
import { messageMaker } from '../message/make.ts'
import { GroupState } from './groups.ts'
import type { Settled } from './log.ts'
import { MemoryGroups } from './memory-groups.ts'
import type { Holder, Slot } from './slot.ts'
import type { GroupOp, StoredEntry } from './store.ts'

const WALL = 1_700_000_000_000
const ACK_WAIT_MS = 100
const FINAL: readonly Settled[] = ['acked', 'dead', 'expired', 'dropped', 'skipped']
const message = messageMaker().make('t', 0)

function group(entries: number, start: number = 1): GroupState {
  const state = new GroupState({ stream: 's', group: 'g', start, next: 1, persistent: true })
  state.grow(entries + 1)
  return state
}

/** Leases what comes next. */
function lease(state: GroupState, holder: Holder, nowMs: number = 0, ackWaitMs: number = ACK_WAIT_MS): Slot {
  const next = state.peek(nowMs)
  expect(next).not.toBe(0)
  return state.lease(next, holder, nowMs, ackWaitMs)
}

function reload(
  store: MemoryGroups,
  next: number,
  clean: boolean,
  nowMs: number,
  wallMs: number = WALL + nowMs,
): GroupState {
  const [stored] = store.list()
  return GroupState.restored(stored!, { first: 1, next }, clean, { nowMs, wallMs }, true)
}

test('a backlog of a hundred million entries costs no memory', () => {
  const before = process.memoryUsage().heapUsed
  const state = group(100_000_000)
  expect(state.figures(0)).toMatchObject({ published: 100_000_000, pending: 100_000_000 })
  expect(state.take()).toMatchObject({ position: 1, done: [], open: [] })
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000)
})

test('an entry that stays unsettled is tracked one by one, once more than a thousand behind it are settled', () => {
  const state = group(5_000)
  const holder = { held: 0 }
  const stuck = lease(state, holder)
  for (let count = 1; count <= 1_000; count++) state.settle(lease(state, holder), 'acked')
  expect(state.position).toBe(1)
  expect(state.take()).toMatchObject({ position: 1, open: [] })
  for (let count = 0; count < 2_000; count++) state.settle(lease(state, holder), 'acked')
  const op = state.take()
  expect(op).toMatchObject({ position: 3_002, done: [], closed: [] })
  expect(op.open).toEqual([{ offset: 1, attempts: 0, dueAt: undefined, delayMs: 0, held: false, note: undefined }])
  expect(holder.held).toBe(1)
  state.settle(stuck, 'acked')
  expect(state.take()).toMatchObject({ position: 3_002, done: [], open: [], closed: [1] })
  expect(state.figures(0)).toMatchObject({ acked: 3_001, pending: 1_999, leased: 0 })
})

test('a store that fails for long makes the notes of a group no longer than what is open', () => {
  const state = group(200_000)
  const holder = { held: 0 }
  const stuck = Array.from({ length: 3 }, () => lease(state, holder))
  for (let count = 0; count < 150_000; count++) {
    state.settle(lease(state, holder), 'acked')
    if (count % 1_000 === 0) state.putBack(state.take())
  }
  const op = state.take()
  expect(op.done.length).toBeLessThanOrEqual(1_000)
  expect(op.open.map(({ offset }) => offset)).toEqual(stuck.map(({ offset }) => offset))
  expect(op.position).toBeGreaterThan(140_000)
})

test('[I14] a step of the wall clock neither lengthens nor undoes a wait that is resumed', () => {
  for (const [stepMs, leftMs] of [
    [0, 4_000],
    [-86_400_000, 5_000],
    [86_400_000, 0],
  ] as const) {
    const store = new MemoryGroups()
    const state = group(1)
    state.nack(lease(state, { held: 0 }), { delayMs: 5_000 }, { nowMs: 0, wallMs: WALL })
    store.apply(state.take())
    const after = reload(store, 2, true, 10, WALL + 1_000 + stepMs)
    expect(after.wakeMs()).toBe(leftMs === 0 ? Number.POSITIVE_INFINITY : 10 + leftMs)
    expect(after.figures(10)).toMatchObject({ delayed: leftMs === 0 ? 0 : 1, pending: leftMs === 0 ? 1 : 0 })
    expect(after.peek(10 + leftMs)).toMatchObject({ offset: 1, attempts: 1 })
  }
})

test('[I17] handlers that ran when the process died count as attempts, those that had not begun do not', () => {
  const store = new MemoryGroups()
  const state = group(3)
  const holder = { held: 0 }
  const [first, second] = [lease(state, holder), lease(state, holder), lease(state, holder)]
  state.begin(first)
  state.begin(second)
  state.settle(second!, 'acked')
  store.apply(state.take())
  const clean = reload(store, 4, true, 0)
  expect(clean.peek(0)).toBe(1)
  const crashed = reload(store, 4, false, 0)
  expect(crashed.peek(0)).toMatchObject({ offset: 1, attempts: 1 })
  // Until that is kept, another crash counts the same attempt, not one more.
  expect(reload(store, 4, false, 0).peek(0)).toMatchObject({ offset: 1, attempts: 1 })
  store.apply(crashed.take())
  expect(reload(store, 4, false, 0).peek(0)).toMatchObject({ offset: 1, attempts: 1 })
  lease(crashed, holder)
  expect(crashed.peek(0)).toBe(3)
})

test('after a crash as many hand-outs are suspect as the consumers may hold, and none after a clean end', () => {
  const store = new MemoryGroups()
  store.apply(group(10).take())
  const state = reload(store, 11, false, 0)
  state.joined(2)
  state.joined(1)
  const slots = Array.from({ length: 5 }, () => lease(state, { held: 0 }))
  expect(slots.map((slot) => state.begin(slot))).toEqual([true, true, true, false, false])
  const clean = reload(store, 11, true, 0)
  clean.joined(2)
  expect(clean.begin(lease(clean, { held: 0 }))).toBe(false)
})

test('a group whose stream lost its newest entries takes the offsets that are given away again for new ones', () => {
  const store = new MemoryGroups()
  const state = group(10)
  for (let count = 0; count < 8; count++) state.settle(lease(state, { held: 0 }), 'acked')
  state.settleAt(10, 'dead')
  store.apply(state.take())
  const after = reload(store, 6, false, 0)
  expect(after.figures(0)).toMatchObject({ published: 5, pending: 0 })
  expect(after.peek(0)).toBe(0)
  after.grow(12)
  const seen = Array.from({ length: 6 }, () => lease(after, { held: 0 }).offset)
  expect(seen).toEqual([6, 7, 8, 9, 10, 11])
})

// A model that knows every entry one by one, as slow and as simple as can be.

interface Model {
  as: Settled | undefined
  state: 'free' | 'leased' | 'settling' | 'settled'
  attempts: number
  dueMs: number
  held: boolean
  untilMs: number
  holder: number
  begun: boolean
}

interface Command {
  readonly type: (typeof TYPES)[number]
  readonly which: number
  readonly ms: number
  readonly as: Settled
  readonly flag: boolean
}

const TYPES = [
  ...([
    'grow',
    'deliver',
    'deliver',
    'deliver',
    'settle',
    'settle',
    'nack',
    'hold',
    'begin',
    'extend',
    'advance',
  ] as const),
  ...(['giveBack', 'settleAt', 'freeze', 'take', 'kept', 'failed', 'reload'] as const),
]

const command: fc.Arbitrary<Command> = fc.record({
  type: fc.constantFrom(...TYPES),
  which: fc.nat(30),
  ms: fc.constantFrom(0, 10, 60, 150),
  as: fc.constantFrom(...FINAL),
  flag: fc.boolean(),
})

/** Runs the same commands on a group and on the model, and compares after each. */
class Run {
  readonly #store = new MemoryGroups()
  readonly #holders: [Holder, Holder] = [{ held: 0 }, { held: 0 }]
  #state = group(0)
  #all: Model[] = []
  /** The model as the store knows it. */
  #durable: Model[] = []
  #underWay: { op: GroupOp; all: Model[]; applied: { slot: Slot; as: Settled }[] } | undefined
  #frozen: { slot: Slot; as: Settled }[] = []
  #slots: { slot: Slot; token: number }[] = []
  #nowMs = 0
  #kept = false

  step(command: Command): void {
    this.#do(command)
    this.#expire()
    this.#compare()
  }

  #do({ type, which, ms, as, flag }: Command): void {
    const now = { nowMs: this.#nowMs, wallMs: WALL + this.#nowMs }
    const held = this.#slots.length === 0 ? undefined : this.#slots[which % this.#slots.length]
    const model = held === undefined ? undefined : this.#all[held.slot.offset - 1]
    if (type === 'grow') this.#grow(which % 4)
    else if (type === 'deliver') this.#deliver(which % 2)
    else if (type === 'advance') this.#nowMs += ms
    else if (type === 'giveBack') this.#giveBack(which % 2)
    else if (type === 'settleAt') this.#settleAt(1 + (which % (this.#all.length + 1)), as, flag)
    else if (type === 'take') this.#take()
    else if (type === 'kept') this.#keep()
    else if (type === 'failed') this.#fail()
    else if (type === 'reload') this.#reload(flag)
    else if (held === undefined || model === undefined) return
    else if (type === 'begin') this.#begin(held, model)
    else if (!this.#holds(held)) return
    else if (type === 'settle') {
      this.#state.settle(held.slot, as)
      this.#finish(model, as)
    } else if (type === 'freeze') {
      this.#state.freeze(held.slot)
      this.#frozen.push({ slot: held.slot, as })
      model.state = 'settling'
    } else if (type === 'extend') {
      this.#state.extend(held.slot, ms + 1, this.#nowMs)
      model.untilMs = this.#nowMs + ms + 1
    } else if (type === 'nack') {
      this.#state.nack(held.slot, { delayMs: ms, count: flag }, now)
      Object.assign(model, { state: 'free', dueMs: ms > 0 ? this.#nowMs + ms : 0, held: false, begun: false })
      if (flag) model.attempts++
    } else if (type === 'hold') {
      this.#state.nack(held.slot, { delayMs: ms, count: flag, hold: true }, now)
      const dueMs = ms > 0 ? this.#nowMs + ms : 0
      Object.assign(model, { dueMs, held: true, begun: false, untilMs: this.#nowMs + ms + ACK_WAIT_MS })
      if (flag) model.attempts++
    }
  }

  #grow(count: number): void {
    for (let one = 0; one < count; one++) {
      this.#all.push({
        ...{ as: undefined, state: 'free', attempts: 0, dueMs: 0, held: false, untilMs: 0, holder: -1, begun: false },
      } as Model)
    }
    this.#state.grow(this.#all.length + 1)
  }

  #deliver(holder: number): void {
    const model = this.#all.find((one) => one.state === 'free' && (one.held || one.dueMs <= this.#nowMs))
    const next = this.#state.peek(this.#nowMs)
    if (model === undefined) {
      expect(next).toBe(0)
      return
    }
    const offset = this.#all.indexOf(model) + 1
    expect(typeof next === 'number' ? next : next.offset).toBe(offset)
    const slot = this.#state.lease(next, this.#holders[holder]!, this.#nowMs, ACK_WAIT_MS)
    expect(slot.attempts).toBe(model.attempts)
    this.#slots.push({ slot, token: slot.token })
    const from = model.held ? Math.max(model.dueMs, this.#nowMs) : this.#nowMs
    Object.assign(model, { state: 'leased', holder, untilMs: from + ACK_WAIT_MS })
  }

  #begin({ slot, token }: { slot: Slot; token: number }, model: Model): void {
    if (slot.token !== token || slot.state !== 'leased') return
    this.#state.begin(slot)
    Object.assign(model, { begun: true, ...(model.held && { held: false, dueMs: 0 }) })
  }

  #holds(held: { slot: Slot; token: number }): boolean {
    const model = this.#all[held.slot.offset - 1]!
    const stale = this.#state.figures(this.#nowMs).stale
    const holds = this.#state.holds(held.slot, held.token)
    if (holds) expect(model.state).toBe('leased')
    else expect(this.#state.figures(this.#nowMs).stale).toBe(stale + 1)
    return holds
  }

  #finish(model: Model, as: Settled): void {
    Object.assign(model, { state: 'settled', as, begun: false, held: false })
  }

  #giveBack(holder: number): void {
    this.#state.giveBack(this.#holders[holder]!)
    for (const model of this.#all) {
      if (model.state !== 'leased' || model.holder !== holder) continue
      Object.assign(model, { state: 'free', begun: false })
      if (!model.held) model.dueMs = 0
    }
  }

  #settleAt(offset: number, as: Settled, along: boolean): void {
    const model = this.#all[offset - 1]
    const may = model?.state === 'free'
    if (along) {
      const slot = this.#state.freezeAt(offset)
      expect(slot !== undefined).toBe(may)
      if (slot === undefined || model === undefined) return
      this.#frozen.push({ slot, as })
      Object.assign(model, { state: 'settling', holder: -1 })
      return
    }
    expect(this.#state.settleAt(offset, as)).toBe(may)
    if (may && model !== undefined) this.#finish(model, as)
  }

  #take(): void {
    if (this.#underWay !== undefined) return
    const applied = this.#frozen.splice(0)
    for (const { slot, as } of applied) {
      this.#state.apply(slot, as)
      this.#finish(this.#all[slot.offset - 1]!, as)
    }
    const op = this.#state.take()
    expect(this.#state.dirty).toBe(false)
    this.#underWay = { op, applied, all: structuredClone(this.#all) }
  }

  #keep(): void {
    if (this.#underWay === undefined) return
    const { op, all, applied } = this.#underWay
    this.#underWay = undefined
    this.#store.apply(op)
    this.#durable = all
    this.#kept = true
    for (const { slot } of applied) this.#state.thaw(slot)
  }

  #fail(): void {
    if (this.#underWay === undefined) return
    const { op, applied } = this.#underWay
    this.#underWay = undefined
    for (const { slot, as } of applied.toReversed()) {
      this.#state.undo(slot, as)
      Object.assign(this.#all[slot.offset - 1]!, { state: 'settling', as: undefined })
    }
    this.#frozen.unshift(...applied)
    this.#state.putBack(op)
  }

  /** The process ends, and only what is kept is left. */
  #reload(clean: boolean): void {
    if (!this.#kept) return
    const count = this.#all.length
    this.#all = structuredClone(this.#durable)
    while (this.#all.length < count) this.#grow(1)
    for (const model of this.#all) {
      if (model.state === 'settled') continue
      if (!clean && model.begun) model.attempts++
      const waits = model.held || model.state === 'free'
      const dueMs = waits && model.dueMs > this.#nowMs ? model.dueMs : 0
      Object.assign(model, { state: 'free', dueMs, held: model.held && dueMs > 0, begun: false })
    }
    this.#state = reload(this.#store, count + 1, clean, this.#nowMs)
    this.#slots = []
    this.#frozen = []
    this.#underWay = undefined
    for (const holder of this.#holders) holder.held = 0
  }

  #expire(): void {
    this.#state.expire(this.#nowMs)
    for (const model of this.#all) {
      if (model.state !== 'leased' || model.untilMs > this.#nowMs) continue
      model.attempts++
      Object.assign(model, { state: 'free', dueMs: 0, held: false, begun: false })
    }
  }

  #compare(): void {
    const figures = this.#state.figures(this.#nowMs)
    const count = (fits: (model: Model) => boolean): number => this.#all.filter(fits).length
    const waits = (model: Model): boolean => model.dueMs > this.#nowMs
    const expected: Record<string, number> = {
      published: count(({ as }) => as !== 'skipped'),
      pending: count((model) => model.state === 'free' && (model.held || !waits(model))),
      leased: count(
        (model) => model.state === 'settling' || (model.state === 'leased' && !(model.held && waits(model))),
      ),
      delayed: count(
        (model) =>
          (model.state === 'free' && !model.held && waits(model)) ||
          (model.state === 'leased' && model.held && waits(model)),
      ),
    }
    for (const as of FINAL) expected[as] = count((model) => model.as === as)
    expect(figures).toMatchObject(expected)
    const { published, acked, dead, expired, dropped, pending, leased, delayed } = figures
    expect(published).toBe(acked + dead + expired + dropped + pending + leased + delayed)
    for (const [index, { state }] of this.#all.entries()) {
      expect(this.#state.isOpen(index + 1)).toBe(state !== 'settled')
    }
    const open = this.#all.flatMap(({ state }, index) => (state === 'settled' ? [] : [index + 1]))
    expect(this.#state.openFrom(1, 1_000)).toEqual(open)
    expect(this.#state.oldestOpen()).toBe(open[0] ?? this.#all.length + 1)
    if (this.#underWay !== undefined) return
    for (const [index, holder] of this.#holders.entries()) {
      const holds = (model: Model): boolean =>
        model.holder === index && (model.state === 'leased' || model.state === 'settling')
      expect(holder.held).toBeGreaterThanOrEqual(count((model) => model.holder === index && model.state === 'leased'))
      expect(holder.held).toBeLessThanOrEqual(count(holds))
    }
  }
}

test('[I10] [I15] any hand-outs, settlements, waits, failed commits and crashes: the ledger balances, and order goes by age', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 80, size: 'max' }), (commands) => {
      const run = new Run()
      run.step({ type: 'grow', which: 3, ms: 0, as: 'acked', flag: false })
      for (const one of commands) run.step(one)
    }),
    { numRuns: 600 },
  )
})

test('an entry with a time of its own waits for it when it is met, and costs nothing before', () => {
  const state = group(3)
  const waiting: StoredEntry = {
    type: 'stored',
    offset: 1,
    message,
    storedAt: WALL,
    dueAt: WALL + 500,
    note: undefined,
  }
  const now = { nowMs: 0, wallMs: WALL }
  expect(state.figures(0)).toMatchObject({ pending: 3, delayed: 0 })
  expect(state.peek(0)).toBe(1)
  expect(state.delay(waiting, now)).toBe(true)
  expect(state.figures(0)).toMatchObject({ pending: 2, delayed: 1 })
  expect(lease(state, { held: 0 }).offset).toBe(2)
  expect(state.peek(499)).toBe(3)
  expect(state.peek(500)).toMatchObject({ offset: 1, attempts: 0 })
  expect(state.delay({ ...waiting, offset: 3 }, { nowMs: 500, wallMs: WALL + 500 })).toBe(false)
})
