import type { Env, Timer } from '../kit/env.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import type { Store, StoredAt, StoreOp } from './store.ts'

/** Most operations and bytes of one commit; a single step may be larger. */
const MOST_OPS = 8_192
const MOST_BYTES = 8 * 1_024 * 1_024
/** From so many publishes on, half of them go into a second commit, so that the store writes while this thread prepares. */
const WORTH_SPLITTING = 16
/** What could not be kept is tried again so often. */
const RETRY_MS = 1_000

/** Something whose operations must be in one commit. */
export interface Step {
  /** About how many bytes it takes in the store. */
  readonly bytes: number
  /** Asked before each try; undefined when there is nothing to do any more. */
  ops(): readonly StoreOp[] | undefined
  /** All of it is kept; with one answer for each of its appends. */
  kept(answers: readonly StoredAt[]): void
  /** Nothing of this try is kept. */
  failed(error: BusError): void
  /** A step that must be kept is not, and will not be tried any more. */
  abandoned(error: BusError): void
}

/** What changes again and again, and is kept as it is at the moment of a commit: a group. */
export interface Changing {
  /** The change since the last one; undefined for none. */
  take(): StoreOp | undefined
  kept(): void
  /** The change taken last is not kept: it is part of the next one. */
  failed(error: BusError): void
  /** It will not be tried any more. */
  abandoned(error: BusError): void
}

interface Taken {
  readonly step: Step
  readonly from: number
  readonly to: number
}

interface Batch {
  readonly ops: StoreOp[]
  readonly publishes: Taken[]
  readonly musts: Taken[]
  readonly changing: Changing[]
  appends: number
  bytes: number
}

/** Settings of {@link Committer}. */
export interface CommitterOptions {
  readonly env: Env
  readonly store: Pick<Store, 'commit'>
  /** Called after a commit, when all its steps have been told. */
  readonly afterCommit?: () => void
}

/**
 * Group commit: at once when there is none under way, and in the next one all that came meanwhile; a second one, of publishes only, may
 * be under way behind the first. What fails is told so, and publishing goes on being tried. What must be kept is tried again, at once without the publishes and then each second, until it
 * is: no restart is needed.
 */
export class Committer {
  readonly #env: Env
  readonly #store: Pick<Store, 'commit'>
  readonly #afterCommit: () => void
  readonly #publishes = new Ring<Step>()
  readonly #alone = new Ring<Step>()
  readonly #musts = new Ring<Step>()
  /** Steps that must be kept and have failed: never together with a publish, which would fail with them. */
  readonly #again = new Ring<Step>()
  #trying = false
  #together = true
  #changed = new Set<Changing>()
  readonly #riding = new Set<Changing>()
  /** The changes failed together with others: they are tried without them, next. */
  #changesApart = false
  /** The changes failed on their own: they wait for the timer. */
  #changesWait = false
  #running = false
  /** A commit of publishes alone is under way, behind the first. */
  #runningBehind = false
  #scheduled = false
  #timer: Timer | undefined
  readonly #idle: (() => void)[] = []

  constructor(options: CommitterOptions) {
    this.#env = options.env
    this.#store = options.store
    this.#afterCommit = options.afterCommit ?? (() => undefined)
  }

  /** A step that is told when it fails, and is not tried again. */
  publish(step: Step): void {
    this.#publishes.push(step)
    this.#schedule()
  }

  /** As {@link publish}, in a commit of its own with all changes: it may be what makes room. */
  alone(step: Step): void {
    this.#alone.push(step)
    this.#schedule()
  }

  /** A step that is tried until it is kept, in one commit with what it changes. */
  must(step: Step): void {
    this.#musts.push(step)
    if (!this.#changesWait) this.#schedule()
  }

  /** Something has changed and is to be kept, however often that must be tried. */
  changed(one: Changing): void {
    this.#changed.add(one)
    if (!this.#changesWait) this.#schedule()
  }

  /** A change that is part of the next commit that happens anyway. */
  ride(one: Changing): void {
    this.#riding.add(one)
  }

  /** The change is of no interest any more. */
  forget(one: Changing): void {
    this.#changed.delete(one)
    this.#riding.delete(one)
  }

  /** Resolves once all that was given is kept, or has been tried a last time and told that it failed. */
  async close(): Promise<void> {
    this.#retry()
    while (this.#running || this.#runningBehind || this.#scheduled)
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    this.#timer?.cancel()
    this.#timer = undefined
    const error = new BusError('STORE_FAILED', 'the log was closed before the store could keep it')
    for (const step of [...this.#again, ...this.#musts]) step.abandoned(error)
    for (const one of this.#changed) one.abandoned(error)
    this.#again.clear()
    this.#musts.clear()
    this.#changed.clear()
  }

  #schedule(): void {
    if (this.#scheduled || (this.#running && !this.#mayRunBehind())) return
    this.#scheduled = true
    // What the current code still gives is part of the same commit; that adds no wait.
    this.#env.soon(() => {
      this.#scheduled = false
      if (!this.#running) void this.#run()
      if (this.#mayRunBehind()) void this.#runBehind()
    })
  }

  #mayRunBehind(): boolean {
    return this.#running && !this.#runningBehind && !this.#changesApart && this.#publishes.size >= WORTH_SPLITTING / 2
  }

  /** Publishes alone, while another commit is under way: nothing of theirs depends on it. */
  async #runBehind(): Promise<void> {
    this.#runningBehind = true
    while (this.#running && this.#publishes.size > 0) {
      const batch: Batch = { ops: [], publishes: [], musts: [], changing: [], appends: 0, bytes: 0 }
      this.#fill(batch, this.#publishes, batch.publishes, Number.POSITIVE_INFINITY)
      try {
        this.#kept(batch, await this.#store.commit(batch.ops))
      } catch (error) {
        for (const { step } of batch.publishes) step.failed(asStoreFault(error))
      }
    }
    this.#runningBehind = false
    this.#wakeIdle()
  }

  #wakeIdle(): void {
    for (const wake of this.#idle.splice(0)) wake()
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let batch = this.#assemble(); batch !== undefined; batch = this.#assemble()) {
      let answers: readonly StoredAt[]
      try {
        answers = await this.#store.commit(batch.ops)
      } catch (error) {
        this.#failed(batch, asStoreFault(error))
        continue
      }
      this.#kept(batch, answers)
    }
    this.#running = false
    this.#wakeIdle()
  }

  #assemble(): Batch | undefined {
    const batch: Batch = { ops: [], publishes: [], musts: [], changing: [], appends: 0, bytes: 0 }
    for (let step = this.#alone.shift(); step !== undefined; step = this.#alone.shift()) {
      if (!this.#add(batch, step, batch.publishes)) continue
      this.#addChanges(batch)
      return batch
    }
    if (this.#trying) this.#fill(batch, this.#again, batch.musts, this.#together ? Number.POSITIVE_INFINITY : 1)
    if (batch.musts.length === 0) {
      this.#trying = false
      if (!this.#changesApart) {
        const { size } = this.#publishes
        const split = size >= WORTH_SPLITTING && !this.#runningBehind
        this.#fill(batch, this.#publishes, batch.publishes, split ? Math.ceil(size / 2) : Number.POSITIVE_INFINITY)
        // A step that must be kept goes with what it changes, or not at all.
        if (!this.#changesWait) this.#fill(batch, this.#musts, batch.musts, Number.POSITIVE_INFINITY)
      }
    }
    if (!this.#changesWait || batch.musts.length > 0) this.#addChanges(batch)
    if (batch.ops.length > 0) return batch
    if (!this.#changesApart) return undefined
    this.#changesApart = false
    return this.#assemble()
  }

  #fill(batch: Batch, queue: Ring<Step>, into: Taken[], most: number): void {
    while (into.length < most) {
      const step = queue.peek()
      if (step === undefined) return
      if (batch.ops.length > 0 && (batch.ops.length >= MOST_OPS || batch.bytes + step.bytes > MOST_BYTES)) return
      queue.shift()
      this.#add(batch, step, into)
    }
  }

  #add(batch: Batch, step: Step, into: Taken[]): boolean {
    const ops = step.ops()
    if (ops === undefined) return false
    const from = batch.appends
    for (const op of ops) {
      if (op.type === 'append') batch.appends++
      batch.ops.push(op)
    }
    batch.bytes += step.bytes
    into.push({ step, from, to: batch.appends })
    return true
  }

  /** Last of all: the steps before may have changed them. */
  #addChanges(batch: Batch): void {
    const all = this.#changed
    if (all.size > 0) this.#changed = new Set()
    if (this.#riding.size > 0) {
      for (const one of this.#riding) all.add(one)
      this.#riding.clear()
    }
    for (const one of all) {
      const op = one.take()
      if (op === undefined) continue
      batch.ops.push(op)
      batch.changing.push(one)
    }
    all.clear()
  }

  #kept(batch: Batch, answers: readonly StoredAt[]): void {
    if (batch.changing.length > 0) this.#changesApart = false
    for (const taken of [batch.publishes, batch.musts]) {
      for (const { step, from, to } of taken) {
        step.kept(from === 0 && to === answers.length ? answers : answers.slice(from, to))
      }
    }
    for (const one of batch.changing) one.kept()
    this.#afterCommit()
  }

  #failed(batch: Batch, error: BusError): void {
    // In reverse: what a step takes back must not meet what a later one did.
    for (const { step } of batch.musts.toReversed()) step.failed(error)
    for (const { step } of batch.publishes) step.failed(error)
    for (const one of batch.changing) {
      one.failed(error)
      this.#changed.add(one)
    }
    for (const { step } of batch.musts) this.#again.push(step)
    if (batch.publishes.length > 0) {
      this.#trying ||= batch.musts.length > 0
      this.#together = true
      this.#changesApart = batch.changing.length > 0
    } else if (batch.musts.length > 1) {
      // Perhaps only one of them cannot be kept: each gets its turn.
      this.#trying = true
      this.#together = false
    } else if (batch.musts.length === 1) {
      // It waits at the end of its queue; the changes are tried without it, next.
      this.#trying = false
      this.#changesApart = true
      this.#arm()
    } else {
      this.#changesWait = true
      this.#changesApart = false
      this.#arm()
    }
  }

  #arm(): void {
    this.#timer ??= this.#env.after(RETRY_MS, () => {
      this.#timer = undefined
      this.#retry()
    })
  }

  #retry(): void {
    this.#changesWait = false
    this.#trying = this.#again.size > 0
    this.#together = true
    this.#changesApart = this.#changed.size > 0
    if (this.#trying || this.#changesApart || this.#musts.size > 0) this.#schedule()
  }
}

/** What a store rejects with, as an error of the table. */
function asStoreFault(error: unknown): BusError {
  if (isBusError(error)) return error
  return new BusError('STORE_FAILED', 'the store could not keep it', { cause: error })
}
