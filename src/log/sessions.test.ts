import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type MakeOptions, messageMaker } from '../message/make.ts'
import { GroupState } from './groups.ts'
import type { Holder, Slot } from './slot.ts'
import type { StoredEntry } from './store.ts'

const WALL = 1_700_000_000_000
const ACK_WAIT_MS = 100
const maker = messageMaker()

function entry(offset: number, session: string | undefined): StoredEntry {
  const options: MakeOptions = session === undefined ? {} : { session }
  const message = maker.make('t', offset, options)
  return { type: 'stored', offset, message, storedAt: WALL, dueAt: undefined, note: undefined }
}

/** A group, and the entries of its stream. */
class Bench {
  readonly entries: StoredEntry[] = []
  readonly state = new GroupState({ stream: 's', group: 'g', start: 1, next: 1, persistent: false })

  grow(...sessions: (string | undefined)[]): void {
    for (const session of sessions) this.entries.push(entry(this.entries.length + 1, session))
    this.state.grow(this.entries.length + 1)
  }

  /** As a desk does it: what is of a session of somebody else is lined up. */
  deliver(holder: Holder, nowMs: number = 0): Slot | undefined {
    for (;;) {
      const next = this.state.peek(nowMs, holder)
      if (next === 0) return undefined
      const found = this.entries[(typeof next === 'number' ? next : next.offset) - 1] as StoredEntry
      const { session } = found.message
      if (session !== undefined && this.state.sessions?.bars(session, holder) === true) {
        if (this.state.line(next, found)) continue
        return undefined
      }
      const slot = this.state.lease(next, holder, nowMs, ACK_WAIT_MS, session)
      slot.entry = found
      return slot
    }
  }
}

test('what a lone consumer holds is its own once a second one comes, and free once it is alone again', () => {
  const bench = new Bench()
  const [one, two] = [{ held: 0 }, { held: 0 }]
  bench.grow('s', 's', 's')
  const first = bench.deliver(one)
  expect(first?.offset).toBe(1)
  bench.state.share(true)
  expect(bench.deliver(two)).toBeUndefined()
  expect(bench.state.figures(0)).toMatchObject({ pending: 2, leased: 1 })
  bench.state.giveBack(one)
  bench.state.share(false)
  expect([bench.deliver(two), bench.deliver(two), bench.deliver(two)].map((slot) => slot?.offset)).toEqual([1, 2, 3])
})

test('[I9] as many entries are met ahead of the owner of their session as stay small in memory, and then others wait, too', () => {
  const bench = new Bench()
  const [one, two] = [{ held: 0 }, { held: 0 }]
  bench.state.share(true)
  bench.grow(...new Array<string>(20_000).fill('s'), 't')
  const first = bench.deliver(one) as Slot
  expect(bench.deliver(two)).toBeUndefined()
  const next = bench.state.peek(0, two)
  expect(next).toBe(16_386)
  for (let slot: Slot | undefined = first, offset = 1; offset <= 16_384; offset++) {
    expect(slot?.offset).toBe(offset)
    bench.state.settle(slot as Slot, 'acked')
    slot = bench.deliver(one)
  }
  // The owner has come far enough: what is behind is met now.
  expect(bench.deliver(two)?.offset).toBe(20_001)
})

test('meeting, waiting and handing out cost the same for each entry, however many wait', () => {
  const bench = new Bench()
  const [one, two] = [{ held: 0 }, { held: 0 }]
  bench.state.share(true)
  bench.grow(...Array.from({ length: 16_000 }, (_, index) => `s${index % 4_000}`))
  const held = Array.from({ length: 4_000 }, () => bench.deliver(one) as Slot)
  expect(bench.deliver(two)).toBeUndefined()
  const began = performance.now()
  for (const [index, slot] of held.entries()) {
    bench.state.settle(slot, 'acked')
    const taken = bench.deliver(index % 2 === 0 ? two : one)
    expect(taken).toBeDefined()
  }
  // Were each step a look at all 12 000 that wait, it would be 48 000 000 looks.
  expect(performance.now() - began).toBeLessThan(500)
})

// A model as slow and as simple as can be.

interface Model {
  readonly session: string | undefined
  state: 'free' | 'leased' | 'settling' | 'settled'
  holder: number
  dueMs: number
  held: boolean
  untilMs: number
}

const TYPES = [
  ...(['grow', 'grow', 'deliver', 'deliver', 'deliver', 'deliver', 'settle', 'settle', 'settle'] as const),
  ...(['nack', 'delay', 'hold', 'advance', 'giveBack', 'settleAt', 'freeze', 'freezeAt', 'kept', 'share'] as const),
]

const command = fc.record({
  type: fc.constantFrom(...TYPES),
  which: fc.nat(40),
  ms: fc.constantFrom(0, 20, 60, 120),
})

/** Runs the same commands on a group and on the model. */
class Run {
  readonly #bench = new Bench()
  readonly #holders: Holder[] = [{ held: 0 }, { held: 0 }, { held: 0 }]
  readonly #all: Model[] = []
  #slots: Slot[] = []
  #frozen: Slot[] = []
  #several = true
  #nowMs = 0

  constructor() {
    this.#bench.state.share(true)
  }

  step({
    type,
    which,
    ms,
  }: {
    readonly type: (typeof TYPES)[number]
    readonly which: number
    readonly ms: number
  }): void {
    const { state } = this.#bench
    const now = { nowMs: this.#nowMs, wallMs: WALL + this.#nowMs }
    this.#slots = this.#slots.filter(({ state: at, token }) => at === 'leased' && token !== 0)
    const slot = this.#slots[which % Math.max(1, this.#slots.length)]
    const model = slot === undefined ? undefined : this.#all[slot.offset - 1]
    if (type === 'grow') this.#grow(which)
    else if (type === 'deliver') this.#deliver(which % 3)
    else if (type === 'advance') this.#advance(ms)
    else if (type === 'giveBack') this.#giveBack(which % 3)
    else if (type === 'settleAt' || type === 'freezeAt') this.#settleAt(which, type === 'freezeAt')
    else if (type === 'kept') this.#keep()
    else if (type === 'share') this.#share()
    else if (slot === undefined || model === undefined) return
    else if (type === 'settle') {
      state.settle(slot, 'acked')
      model.state = 'settled'
    } else if (type === 'freeze') {
      state.freeze(slot)
      model.state = 'settling'
      this.#frozen.push(slot)
    } else if (type === 'hold') {
      state.nack(slot, { delayMs: ms, hold: true }, now)
      Object.assign(model, { held: true, dueMs: this.#nowMs + ms, untilMs: this.#nowMs + ms + ACK_WAIT_MS })
    } else {
      const delayMs = type === 'delay' ? ms : 0
      state.nack(slot, { delayMs }, now)
      Object.assign(model, { state: 'free', held: false, dueMs: this.#nowMs + delayMs })
    }
  }

  check(): void {
    const figures = this.#bench.state.figures(this.#nowMs)
    const free = this.#all.filter(({ state }) => state === 'free')
    const waits = ({ held, dueMs }: Model): boolean => !held && dueMs > this.#nowMs
    expect(figures.pending).toBe(free.filter((one) => !waits(one)).length)
    expect(figures.acked).toBe(this.#all.filter(({ state }) => state === 'settled').length)
  }

  /** Everything is handed out and settled: nothing was forgotten on the way. */
  finish(): void {
    this.#keep()
    for (let holder = 0; holder < 3; holder++) this.#giveBack(holder)
    this.#advance(1_000)
    for (let turn = 0; this.#all.some(({ state }) => state !== 'settled'); turn++) {
      expect(turn).toBeLessThan(1_000)
      const slot = this.#deliver(this.#several ? turn % 3 : 0)
      if (slot === undefined) continue
      this.#bench.state.settle(slot, 'acked')
      ;(this.#all[slot.offset - 1] as Model).state = 'settled'
    }
  }

  #grow(which: number): void {
    for (let count = 0; count <= which % 4; count++) {
      const session = (which + count) % 5 === 0 ? undefined : `s${(which * 7 + count) % 4}`
      this.#bench.grow(session)
      this.#all.push({ session, state: 'free', holder: -1, dueMs: 0, held: false, untilMs: 0 })
    }
  }

  #owner(session: string | undefined): number {
    if (session === undefined || !this.#several) return -1
    const owning = (one: Model): boolean =>
      one.session === session && one.holder >= 0 && (one.state === 'leased' || one.state === 'settling')
    return this.#all.find(owning)?.holder ?? -1
  }

  #deliver(wanted: number): Slot | undefined {
    const holder = this.#several ? wanted : 0
    const index = this.#all.findIndex((one) => {
      if (one.state !== 'free' || (!one.held && one.dueMs > this.#nowMs)) return false
      const owner = this.#owner(one.session)
      return owner === -1 || owner === holder
    })
    const slot = this.#bench.deliver(this.#holders[holder] as Holder, this.#nowMs)
    expect(slot?.offset).toBe(index < 0 ? undefined : index + 1)
    if (slot === undefined) return undefined
    const model = this.#all[index] as Model
    const untilMs = Math.max(this.#nowMs, model.held ? model.dueMs : 0) + ACK_WAIT_MS
    Object.assign(model, { state: 'leased', holder, untilMs })
    this.#slots.push(slot)
    return slot
  }

  #advance(ms: number): void {
    this.#nowMs += ms
    this.#bench.state.expire(this.#nowMs)
    const over = this.#all.filter(({ state, untilMs }) => state === 'leased' && untilMs <= this.#nowMs)
    const along = this.#all.filter((one, index) => {
      if (one.state !== 'leased' || one.session === undefined) return false
      const first = over.find(({ session, holder }) => session === one.session && holder === one.holder)
      return first !== undefined && this.#all.indexOf(first) < index
    })
    for (const one of over) Object.assign(one, { state: 'free', dueMs: 0, held: false })
    for (const one of along) one.state = 'free'
  }

  #giveBack(holder: number): void {
    this.#bench.state.giveBack(this.#holders[holder] as Holder)
    for (const one of this.#all) if (one.state === 'leased' && one.holder === holder) one.state = 'free'
  }

  #settleAt(which: number, along: boolean): void {
    const index = which % Math.max(1, this.#all.length)
    const model = this.#all[index]
    const may = model?.state === 'free'
    if (along) {
      const slot = this.#bench.state.freezeAt(index + 1)
      expect(slot !== undefined).toBe(may)
      if (slot === undefined || model === undefined) return
      Object.assign(model, { state: 'settling', holder: -1 })
      this.#frozen.push(slot)
      return
    }
    expect(this.#bench.state.settleAt(index + 1, 'acked')).toBe(may)
    if (may) model.state = 'settled'
  }

  #keep(): void {
    for (const slot of this.#frozen.splice(0)) {
      this.#bench.state.apply(slot, 'acked')
      this.#bench.state.thaw(slot)
      ;(this.#all[slot.offset - 1] as Model).state = 'settled'
    }
  }

  /** The others end, or come again. */
  #share(): void {
    if (this.#several) {
      this.#keep()
      for (const holder of [1, 2]) this.#giveBack(holder)
    }
    this.#several = !this.#several
    this.#bench.state.share(this.#several)
  }
}

test('[I6] any hand-outs, settlements, retries, leases that run out and ends: each consumer gets the oldest entry whose session is free or its own', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120, size: 'max' }), (commands) => {
      const run = new Run()
      run.step({ type: 'grow', which: 3, ms: 0 })
      for (const one of commands) {
        run.step(one)
        run.check()
      }
      run.finish()
    }),
    { numRuns: 800 },
  )
})
