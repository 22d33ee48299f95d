import type { Timer } from '../../kit/env.ts'
import type { Consumer, Source } from '../consumer.ts'
import type { Along, ConsumeOptions, Delivery, Gap, Settled } from '../log.ts'
import type { Channel, Listener } from './channel.ts'
import { LeasedByRedis } from './delivery.ts'
import { isPassing, isUnknown, logFault } from './faults.ts'
import { Lessor } from './lessor.ts'
import { SCRIPTS } from './scripts.ts'
import { type Seat, seatOf } from './seat.ts'
import { type AlongArgs, NO_LEASE, type Settler } from './settler.ts'
import { fromText, type Taken, takenOf } from './taken.ts'

// Hot path: `deliver` and `settle` run once for each message.
//
// A consumer that asks often gets more than it asked for, into a buffer, so that it seldom waits for the server. What lies in a buffer is
// leased, but its lease ends later by as long as a buffer may keep it: so a lease lasts from the hand-out on at least as long as was
// promised. What nobody asks for within that time goes back, uncounted, to consumers that have room.

/** Milliseconds that an entry may lie in a buffer, and between two looks at what is held. */
const BUFFER_MS = 100
const MOST_AHEAD = 400
const MOST_BYTES = 1_048_576
/** A take that failed is tried again after so long, unless the connection is restored before. */
const AGAIN_MS = 500
/** Nobody waits longer than this without a look, even if a word of the server was lost. */
const LOOK_MS = 5_000

/** What the desks of a channel share. */
export interface DeskHost {
  readonly channel: Channel
  readonly settler: Settler
  /** Names a consumer among all. */
  readonly name: () => string
  /** What goes along, as the script takes it. Throws INVALID_OPTION, UNSUPPORTED, and what the codec throws. */
  readonly along: (owner: string, along: Along) => AlongArgs
  readonly onBad: (stream: string, offset: number, reason: Gap['reason']) => void
  readonly onGone: (desk: Desk) => void
}

/** The consumers of one group in this process. */
export class Desk implements Source, Listener {
  readonly stream: string
  readonly group: string
  readonly #host: DeskHost
  readonly #channel: Channel
  readonly #settler: Settler
  #from: string
  readonly #seats = new Map<Consumer, Seat>()
  readonly #takes = new Set<Promise<void>>()
  readonly #lessor: Lessor
  /** Of the group in the server; 0 while it is to be created. */
  #id = 0
  #upkeep: Timer | undefined
  #alarm: Timer | undefined
  #alarmMs = Number.POSITIVE_INFINITY
  #closed = false

  constructor(host: DeskHost, stream: string, group: string, from: ConsumeOptions['from']) {
    this.stream = stream
    this.group = group
    this.#host = host
    this.#channel = host.channel
    this.#settler = host.settler
    this.#from = fromText(from)
    this.#lessor = new Lessor(this, host, {
      gone: (one) => this.#over(one.seat as Seat, one),
      newer: () => {
        for (const seat of this.#seats.values()) this.#clear(seat)
      },
    })
    host.channel.listeners.add(this)
  }

  /** Creates the group, if it is not there. */
  async create(): Promise<void> {
    const id = (await this.#channel.change(SCRIPTS.join, [this.stream, this.group, this.#from])) as number
    if (this.#id === 0) this.#id = id
  }

  /** Adds a consumer. */
  join(consumer: Consumer): void {
    if (consumer.ended) return
    this.#seats.set(consumer, seatOf(consumer, this.#host.name()))
    consumer.attach(this)
  }

  /** Ends every consumer, which gives its leases back. */
  close(failure?: { readonly error: unknown }): void {
    this.#closed = true
    this.#lessor.close()
    this.#upkeep?.cancel()
    this.#alarm?.cancel()
    this.#channel.listeners.delete(this)
    for (const consumer of [...this.#seats.keys()]) consumer.end(failure)
  }

  /** Nobody here waits for anything: buffers are given back, takes are answered. */
  async rest(): Promise<void> {
    for (const seat of this.#seats.values()) this.#clear(seat)
    while (this.#takes.size > 0) await Promise.all(this.#takes)
    for (const seat of this.#seats.values()) this.#clear(seat)
    this.#lessor.mark()
    this.#settler.flush()
  }

  /** Tells the server which handlers run, and what is in hand. */
  mark(): void {
    this.#lessor.mark()
  }

  wake(): void {
    for (const seat of this.#seats.values()) {
      if (seat.taking) seat.again = true
      else if (seat.waits) this.#take(seat)
    }
  }

  forgotten(id: number): void {
    if (id === this.#id) this.#host.onGone(this)
  }

  renewed(): void {
    this.#id = 0
    // Of what comes now nothing was settled.
    this.#from = 'first'
    for (const seat of this.#seats.values()) {
      for (const one of [...seat.out]) this.#over(seat, one)
      for (let one = seat.buffer.shift(); one !== undefined; one = seat.buffer.shift()) one.standing = 'over'
    }
    if (!this.#closed) void this.create().catch(() => undefined)
    this.wake()
  }

  deliver(consumer: Consumer): Delivery | undefined {
    const seat = this.#seats.get(consumer)
    if (seat === undefined || seat.out.size >= consumer.maxInFlight) return undefined
    const next = seat.buffer.shift()
    if (next === undefined) return undefined
    if (seat.buffer.size * 2 < seat.ahead && seat.ahead > 1) this.#take(seat)
    return this.#hand(seat, next)
  }

  wait(consumer: Consumer): void {
    const seat = this.#seats.get(consumer)
    if (seat === undefined) return
    seat.waits = true
    if (seat.taking) return
    // Nobody asks for what lies with others here.
    for (const other of this.#seats.values()) if (other !== seat && other.buffer.size > 0) this.#clear(other)
    this.#take(seat)
  }

  leave(consumer: Consumer): void {
    const seat = this.#seats.get(consumer)
    if (seat === undefined) return
    this.#seats.delete(consumer)
    for (const one of [...seat.out]) this.#lessor.giveBack(one)
    seat.out.clear()
    this.#clear(seat)
    this.#settler.flush()
    if (this.#seats.size > 0) return
    this.#upkeep?.cancel()
    this.#upkeep = undefined
    this.#alarm?.cancel()
    this.#alarmMs = Number.POSITIVE_INFINITY
    const key = `${this.#channel.base}waiting:${this.stream}`
    const name = this.#host.name().split(':')[0] as string
    void this.#channel.link.command(key, ['SREM', key, `${name}\n${this.group}`]).catch(() => undefined)
  }

  /** Settles an entry that nobody holds. */
  async settleAt(offset: number, as: Settled, along: AlongArgs | undefined): Promise<boolean> {
    for (const seat of this.#seats.values()) this.#clear(seat)
    const untilMs = this.#nowMs() + 30_000
    return this.#settler.step(this, 'o', { ...NO_LEASE, number: offset }, untilMs, [as], along)
  }

  #nowMs(): number {
    return this.#channel.env.monotonicMs()
  }

  #over(seat: Seat, one: LeasedByRedis): void {
    this.#lessor.over(one)
    const full = seat.out.size >= seat.consumer.maxInFlight
    seat.out.delete(one)
    if (full && seat.waits) this.#pump(seat)
  }

  #clear(seat: Seat): void {
    seat.outdated = seat.taking
    for (let one = seat.buffer.shift(); one !== undefined; one = seat.buffer.shift()) this.#lessor.giveBack(one)
  }

  #hand(seat: Seat, one: LeasedByRedis): LeasedByRedis {
    one.standing = 'out'
    seat.out.add(one)
    this.#lessor.handed(one)
    this.#keepUp()
    return one
  }

  /** There is room again for one who waits. */
  #pump(seat: Seat): void {
    const { consumer, buffer } = seat
    while (consumer.asks && buffer.size > 0 && seat.out.size < consumer.maxInFlight) {
      consumer.give(this.#hand(seat, buffer.shift() as LeasedByRedis))
    }
    seat.waits = consumer.asks
    if (seat.waits && buffer.size === 0 && !seat.taking) this.#take(seat)
  }

  #take(seat: Seat): void {
    const { consumer } = seat
    const room = consumer.maxInFlight - seat.out.size - seat.buffer.size
    if (seat.taking || room <= 0 || this.#closed) return
    seat.taking = true
    seat.outdated = false
    seat.again = false
    // What was settled is settled first: a consumer never holds more than it may.
    this.#settler.flush()
    const most = Math.min(room, seat.ahead)
    const taking = this.#taken(seat, most).finally(() => this.#takes.delete(taking))
    this.#takes.add(taking)
  }

  async #taken(seat: Seat, most: number): Promise<void> {
    const { consumer } = seat
    const asked = consumer.asks ? 1 : 0
    const buffered = Math.min(BUFFER_MS, consumer.ackWaitMs / 2)
    const leaseMs = Math.ceil(consumer.ackWaitMs + buffered)
    const id = this.#id
    const args = [this.stream, this.group, id, this.#from, seat.id, most, asked, MOST_BYTES, leaseMs, asked].map(String)
    const askedMs = this.#nowMs()
    let taken: Taken
    try {
      const reply = await this.#channel.change(SCRIPTS.take, args)
      taken = takenOf(reply, this.#channel.env)
    } catch (error) {
      seat.taking = false
      this.#failed(seat, error)
      return
    }
    seat.taking = false
    const present = this.#seats.get(consumer) === seat
    if (taken.id === 0) {
      // Asked of data that are others by now, the group of then is of no account.
      if (id !== this.#id) this.#take(seat)
      else if (!this.#closed) this.#host.onGone(this)
      return
    }
    if (this.#id === 0) this.#id = taken.id
    for (const offset of taken.bad) this.#host.onBad(this.stream, offset, 'lost')
    const drained = seat.buffer.size === 0
    const lease = { askedMs, answeredMs: this.#nowMs(), leaseMs }
    for (const out of taken.out) {
      this.#channel.saw(this.stream, out.offset)
      const one = new LeasedByRedis(this.#lessor, seat, lease, out)
      if (out.message === undefined) {
        // It is there, but it is no message.
        void this.#settler.step(this, 's', one, one.untilMs, ['dropped']).catch(() => undefined)
        this.#host.onBad(this.stream, out.offset, 'damaged')
      } else if (present && !this.#closed) seat.buffer.push(one)
      else this.#lessor.giveBack(one)
    }
    if (!present || this.#closed) {
      this.#settler.flush()
      return
    }
    if (taken.out.length > 0) {
      const first = seat.buffer.peek()
      if (asked > 0 && first !== undefined) first.marked = true
      if (seat.outdated) {
        this.#clear(seat)
        seat.again = true
      }
      seat.filledMs = this.#nowMs()
      this.#keepUp()
    }
    if (drained && taken.out.length === most) seat.ahead = Math.min(MOST_AHEAD, seat.ahead * 2)
    if (taken.out.length === 0 && asked > 0) seat.ahead = 1
    this.#share(seat, taken, asked)
  }

  /** Hands out what came to who waits, and takes more when that is not enough. */
  #share(seat: Seat, taken: Taken, asked: number): void {
    const got = taken.out.length
    const { consumer, buffer } = seat
    while (consumer.asks && buffer.size > 0 && seat.out.size < consumer.maxInFlight) {
      consumer.give(this.#hand(seat, buffer.shift() as LeasedByRedis))
    }
    seat.waits = consumer.asks
    if (!seat.waits || buffer.size > 0) return
    // Asked and got nothing: the server tells when there is more. Otherwise it was not asked to.
    if (seat.again || got > 0 || asked === 0 || taken.wakeMs === 0) this.#take(seat)
    else this.#wakeIn(Math.min(taken.wakeMs < 0 ? LOOK_MS : taken.wakeMs, LOOK_MS))
  }

  #failed(seat: Seat, error: unknown): void {
    if (this.#seats.get(seat.consumer) !== seat || this.#closed) return
    if (!isPassing(error)) {
      seat.consumer.end({ error: logFault(`nothing can be taken from "${this.stream}"`, error) })
      return
    }
    if (isUnknown(error)) this.#rename(seat)
    this.#wakeIn(AGAIN_MS)
  }

  /**
   * The server may have handed out what never came, and may still do so. The holder has another name from now on: to it those are with
   * somebody else, so nothing of their sessions goes to it before they are back. Back goes what is not known here; what was settled here
   * is known until the server has answered, however often that must be said.
   */
  #rename(seat: Seat): void {
    const known = [...seat.out, ...seat.buffer].map(({ token }) => token)
    const tokens = [...known, ...this.#settler.tokensOf(this.stream, this.group)]
    const untilMs = this.#nowMs() + seat.consumer.ackWaitMs + BUFFER_MS
    this.#settler.step(this, 'c', NO_LEASE, untilMs, [seat.id, tokens]).catch(() => undefined)
    seat.id = this.#host.name()
  }

  #wakeIn(ms: number): void {
    const atMs = this.#nowMs() + ms
    if (atMs >= this.#alarmMs || this.#closed) return
    this.#alarm?.cancel()
    this.#alarmMs = atMs
    this.#alarm = this.#channel.env.after(ms, () => {
      this.#alarmMs = Number.POSITIVE_INFINITY
      this.wake()
    })
  }

  #keepUp(): void {
    this.#upkeep ??= this.#channel.env.after(BUFFER_MS, () => {
      this.#upkeep = undefined
      this.#lookAfter()
    })
  }

  #lookAfter(): void {
    const nowMs = this.#nowMs()
    let held = 0
    for (const seat of this.#seats.values()) {
      const longest = Math.min(BUFFER_MS, seat.consumer.ackWaitMs / 2)
      if (seat.buffer.size > 0 && nowMs - seat.filledMs >= longest / 2) {
        this.#clear(seat)
        seat.ahead = 1
      }
      for (const one of [...seat.out]) if (one.untilMs < nowMs) this.#over(seat, one)
      held += seat.out.size + seat.buffer.size
    }
    this.#lessor.mark()
    if (held > 0) this.#keepUp()
  }
}
