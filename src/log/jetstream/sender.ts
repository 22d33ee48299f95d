import type { Timer } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { Group } from './group.ts'
import type { Io } from './io.ts'
import type { Machine, OpResult } from './machine.ts'
import type { ChannelNames } from './names.ts'
import { encodeBatch, type Op, PER_RECORD } from './records.ts'
import type { Reserve } from './reserve.ts'

// Hot path: settlements are collected while others are under way, so that a record carries many.

interface Asked {
  /** The batch that carried it last and was refused; 0 for none. */
  n: number
  op: Op
  readonly body: Uint8Array | undefined
  readonly answers: Answer[]
}

interface Answer {
  readonly resolve: (result: OpResult) => void
  readonly reject: (error: BusError) => void
  untilMs: number
}

interface Sent {
  readonly asked: readonly Asked[]
  readonly subject: string
  readonly bytes: Uint8Array
  /** Resolves when the server has answered; undefined when it is not under way. */
  underWay: Promise<void> | undefined
  atMs: number
}

const MOST_UNDER_WAY = 2
const MOST_OPS = 1_000
const MOST_LIST = 4_000
const LAZY_MS = 25
/** For so long two clocks keep their distance well enough: one in ten thousand is 60 ms. */
const CLOCK_MS = 600_000
const AGAIN_MS = 200
const SWEEP_MS = 100

/** Carries what one process asks of a channel into its stream, in order, each batch once, also across losses of the connection. */
export class Sender {
  readonly #io: Io
  readonly #names: ChannelNames
  readonly #machine: () => Machine
  readonly #stored: (seq: number) => void
  readonly #reserve: Pick<Reserve, 'spend'>
  #queue: Asked[] = []
  readonly #sent = new Map<number, Sent>()
  readonly #lazy = new Map<Group, Map<number, { token: number; begun: boolean }>>()
  #lazyTimer: Timer | undefined
  #againTimer: Timer | undefined
  #sweep: Timer | undefined
  #flushing = false
  #makesRoom = false
  #n = 0
  #ended = false
  /** This process among those that use the channel. */
  instance: string
  /** When the newest of its records was sent that was seen in the stream: then, or later, it was heard of. */
  seenMs = 0
  /** When the newest of its records was sent. */
  sentMs = Number.NEGATIVE_INFINITY
  /** By the server's clock, when the newest that was seen was stored. */
  #storedAt: number | undefined

  constructor(
    { io, reserve }: { readonly io: Io; readonly reserve: Pick<Reserve, 'spend'> },
    names: ChannelNames,
    machine: () => Machine,
    instance: string,
    stored: (seq: number) => void,
  ) {
    this.#stored = stored
    this.#reserve = reserve
    this.#io = io
    this.#names = names
    this.#machine = machine
    this.instance = instance
  }

  /** Nothing is under way or waits to be sent. */
  get idle(): boolean {
    return this.#queue.length === 0 && this.#sent.size === 0 && [...this.#lazy.values()].every(({ size }) => size === 0)
  }

  /** Resolves to what became of it, in its place among the records. Rejects when that takes too long: it may still be carried out. */
  submit(op: Op, body?: Uint8Array): Promise<OpResult> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new BusError('BUS_CLOSED', 'the log is closed'))
        return
      }
      this.#push(op, body, { resolve, reject, untilMs: this.#io.env.monotonicMs() + this.#io.timeoutMs })
    })
  }

  /** As {@link submit}, and nobody waits for it. */
  post(op: Op): void {
    if (!this.#ended) this.#push(op, undefined, undefined)
  }

  /** The most frequent settlement: those of one group that follow each other become one operation. */
  ack(group: Group, offset: number, token: number): Promise<boolean> {
    this.#lazy.get(group)?.delete(offset)
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        resolve(false)
        return
      }
      const p = group.part.name
      const g = group.name
      const untilMs = this.#io.env.monotonicMs() + this.#io.timeoutMs
      const last = this.#queue.at(-1)
      if (last?.op.t === 'ack' && last.op.g === g && last.op.p === p && last.op.o.length < MOST_LIST) {
        ;(last.op.o as number[]).push(offset, token)
        last.answers.push({ resolve: resolve as Answer['resolve'], reject, untilMs })
        return
      }
      this.#push({ t: 'ack', p, g, o: [offset, token] }, undefined, {
        resolve: resolve as Answer['resolve'],
        reject,
        untilMs,
      })
    })
  }

  /** A lease begins to run, or a handler starts: worth a record soon, but not at once. */
  lazily(group: Group, offset: number, token: number, begun: boolean): void {
    let list = this.#lazy.get(group)
    if (list === undefined) this.#lazy.set(group, (list = new Map()))
    list.set(offset, { token, begun })
    this.#lazyTimer ??= this.#io.env.after(LAZY_MS, () => {
      this.#lazyTimer = undefined
      this.flush()
    })
  }

  /** The entry is settled otherwise: nothing else needs to be said about it. */
  unlazily(group: Group, offset: number): void {
    this.#lazy.get(group)?.delete(offset)
  }

  /** Sends what waits, what was put off included. */
  flush(): void {
    this.#takeLazy()
    this.#send()
  }

  /**
   * Monotonic milliseconds before which a record was surely not stored, by the server's time of the newest own record, which was stored
   * after it was sent. What is known of the server's clock grows old: then it is any time.
   */
  earliestMs(storedAt: number, nowMs: number): number {
    if (this.#storedAt === undefined || nowMs - this.seenMs > CLOCK_MS) return Number.NEGATIVE_INFINITY
    return this.seenMs + (storedAt - this.#storedAt)
  }

  /** Sends what waits, and resolves once the server has it or has refused it. */
  async flushed(): Promise<void> {
    this.flush()
    for (const { underWay } of [...this.#sent.values()]) if (underWay !== undefined) await underWay
  }

  /** The outcomes of one of its own batches have come. */
  done(n: number, results: readonly OpResult[] | undefined, storedAt: number): void {
    const sent = this.#sent.get(n)
    if (sent === undefined) return
    if (sent.atMs >= this.seenMs) {
      this.seenMs = sent.atMs
      this.#storedAt = storedAt
    }
    this.#sent.delete(n)
    if (results !== undefined) for (const [at, one] of sent.asked.entries()) answer(one, results[at] as OpResult)
    this.#send()
  }

  /** The connection stands again, or records were skipped: what is not known to have arrived is sent again under its own number. */
  again(): void {
    const own = this.#machine().instances.get(this.instance)
    for (const [n, sent] of [...this.#sent]) {
      if (own !== undefined && n <= own.n && !own.missing.has(n)) {
        // It was applied in records that this process did not see one by one: what it asked for has happened, or it came too late.
        this.#sent.delete(n)
        for (const one of sent.asked) answer(one, one.op.t === 'ack' ? [] : true)
      } else if (sent.underWay === undefined) this.#publish(n, sent)
    }
    this.#send()
  }

  /** This process was taken for dead: it goes on under another name, and what it asked for under the old one is void. */
  rename(instance: string): void {
    this.instance = instance
    this.#n = 0
    const gone = [...this.#sent.values()].flatMap(({ asked }) => asked)
    this.#sent.clear()
    // Also what was not sent yet: in a stream that was made anew such a lease may be that of another entry.
    gone.push(...this.#queue.filter(({ op }) => isOfLease(op)))
    this.#queue = this.#queue.filter(({ op }) => !isOfLease(op))
    for (const one of gone) answer(one, one.op.t === 'ack' ? all(one.op.o.length / 2) : false)
    this.#lazy.clear()
  }

  /** Nothing is sent any more; whoever waits is told that it is not known. */
  end(): void {
    this.#ended = true
    for (const timer of [this.#lazyTimer, this.#againTimer, this.#sweep]) timer?.cancel()
    const error = new BusError('BUS_CLOSED', 'the log was closed before the broker answered')
    for (const { asked } of this.#sent.values()) for (const one of asked) fail(one, error)
    for (const one of this.#queue) fail(one, error)
    this.#sent.clear()
    this.#queue = []
  }

  #push(op: Op, body: Uint8Array | undefined, waits: Answer | undefined): void {
    this.#queue.push({ n: 0, op, body, answers: waits === undefined ? [] : [waits] })
    if (waits !== undefined) this.#sweep ??= this.#io.env.after(SWEEP_MS, () => this.#late())
    if (this.#flushing) return
    this.#flushing = true
    this.#io.env.soon(() => {
      this.#flushing = false
      if (!this.#ended) this.flush()
    })
  }

  #takeLazy(): void {
    for (const [group, list] of this.#lazy) {
      const started: number[] = []
      const begun: number[] = []
      for (const [offset, one] of list) (one.begun ? begun : started).push(offset, one.token)
      const p = group.part.name
      const g = group.name
      // In front: what is asked for about the same deliveries comes after.
      if (begun.length > 0)
        this.#queue.unshift({ n: 0, op: { t: 'begin', p, g, o: begun }, body: undefined, answers: [] })
      if (started.length > 0)
        this.#queue.unshift({ n: 0, op: { t: 'start', p, g, o: started }, body: undefined, answers: [] })
    }
    this.#lazy.clear()
  }

  #send(): void {
    if (!this.#io.link.watch.isUp || this.#ended || this.#makesRoom || this.#againTimer !== undefined) return
    while (this.#queue.length > 0 && this.#sent.size < MOST_UNDER_WAY) {
      const most = (this.#io.link.connection.info?.max_payload ?? 1_048_576) * 0.9
      let bytes = 0
      let count = 0
      let alongs = 0
      for (const { op, body } of this.#queue) {
        bytes +=
          (body?.length ?? 0) + ('o' in op && typeof op.o === 'object' ? op.o.length * 10 : 0) + 200 + noteBytes(op)
        if (body !== undefined) alongs++
        if (count > 0 && (bytes > most || count >= MOST_OPS || alongs >= PER_RECORD)) break
        count++
      }
      const asked = this.#queue.splice(0, count)
      const bodies = asked.flatMap(({ body }) => (body === undefined ? [] : [body]))
      const n = ++this.#n
      const batch = { i: this.instance, n, ops: asked.map(({ op }) => op) }
      const subject = this.#names.root + (bodies.length > 0 ? 'a' : 'o')
      const sent: Sent = { asked, subject, bytes: encodeBatch(batch, bodies), underWay: undefined, atMs: 0 }
      this.#sent.set(n, sent)
      this.#publish(n, sent)
    }
  }

  #publish(n: number, sent: Sent): void {
    // Sent again, it may be the first time that arrived.
    if (sent.atMs === 0) sent.atMs = this.sentMs = this.#io.env.monotonicMs()
    sent.underWay = this.#io.publish(sent.subject, sent.bytes, undefined).then(
      ({ seq }) => {
        sent.underWay = undefined
        this.#stored(seq)
      },
      (error: unknown) => {
        sent.underWay = undefined
        if (this.#sent.get(n) !== sent || this.#ended) return
        if (isBusError(error, 'BROKER_TIMEOUT')) {
          if (this.#io.link.watch.isUp) this.again()
          return
        }
        // Surely not stored: it is asked again under another number, unless nobody wants it any more.
        this.#sent.delete(n)
        this.#refused(n, sent.asked)
        if (isBusError(error, 'STORE_FULL')) void this.#makeRoom()
        else if (!isBusError(error, 'BROKER_UNREACHABLE')) this.#later()
      },
    )
  }

  /** What is settled goes on where messages find no room any more. */
  async #makeRoom(): Promise<void> {
    if (this.#makesRoom) return
    this.#makesRoom = true
    const isMade = await this.#reserve.spend()
    this.#makesRoom = false
    if (isMade) this.#send()
    else this.#later()
  }

  #later(): void {
    if (this.#ended) return
    this.#againTimer ??= this.#io.env.after(AGAIN_MS, () => {
      this.#againTimer = undefined
      this.#send()
    })
  }

  /** What was asked for first is asked for first again, whichever refusal is heard of first. */
  #refused(n: number, asked: readonly Asked[]): void {
    for (const one of asked) one.n = n
    this.#queue.splice(this.#queue.findLastIndex((one) => one.n > 0 && one.n < n) + 1, 0, ...asked)
  }

  /** Whoever has waited too long is told; what was asked for is still carried out when it can be. */
  #late(): void {
    this.#sweep = undefined
    const nowMs = this.#io.env.monotonicMs()
    let waiting = 0
    const error = new BusError('BROKER_TIMEOUT', `NATS did not answer within ${this.#io.timeoutMs} ms`)
    for (const list of [this.#queue, ...[...this.#sent.values()].map(({ asked }) => asked)]) {
      for (const { answers } of list) {
        for (const one of answers) {
          if (one.untilMs <= nowMs) {
            one.untilMs = Number.POSITIVE_INFINITY
            one.reject(error)
          } else if (one.untilMs !== Number.POSITIVE_INFINITY) waiting++
        }
      }
    }
    if (waiting > 0) this.#sweep = this.#io.env.after(SWEEP_MS, () => this.#late())
  }
}

function answer({ op, answers }: Asked, result: OpResult): void {
  if (op.t !== 'ack') {
    for (const { resolve } of answers) resolve(result)
    return
  }
  const stale = Array.isArray(result) ? (result as readonly number[]) : []
  if (stale.length === 0) for (const { resolve } of answers) resolve(true)
  else for (const [at, { resolve }] of answers.entries()) resolve(!stale.includes(at))
}

function fail({ answers }: Asked, error: BusError): void {
  for (const { reject } of answers) reject(error)
}

function all(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at)
}

const OF_LEASES: ReadonlySet<Op['t']> = new Set(['free', 'start', 'begin', 'ack', 'settle', 'nack', 'extend'])

function isOfLease({ t }: Op): boolean {
  return OF_LEASES.has(t)
}

function noteBytes(op: Op): number {
  if (op.t === 'nack') return (op.n?.length ?? 0) * 3
  return 'a' in op ? (op.a?.n?.length ?? 0) * 3 : 0
}
