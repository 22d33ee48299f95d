import type { Timer } from '../../kit/env.ts'
import { Ring } from '../../kit/ring.ts'
import { checkExtend, checkNack, checkSettled } from '../checks.ts'
import type { Consumer, Source } from '../consumer.ts'
import type { Along, ConsumeOptions, Delivery, NackOptions, Settled } from '../log.ts'
import type { Channel, Listener } from './channel.ts'
import { LeasedByRedis, type RedisLessor } from './delivery.ts'
import { isPassing, logFault } from './faults.ts'
import { SCRIPTS } from './scripts.ts'
import type { AlongArgs, Settler } from './settler.ts'
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

const FALSE = Promise.resolve(false)

/** A consumer, and what it holds. */
interface Seat {
  readonly consumer: Consumer
  /** The holder's name in the server. */
  id: string
  readonly buffer: Ring<LeasedByRedis>
  readonly out: Set<LeasedByRedis>
  /** Monotonic milliseconds at which the buffer was filled. */
  filledMs: number
  ahead: number
  waits: boolean
  taking: boolean
  /** What is being taken now is newer than what was given back meanwhile. */
  outdated: boolean
  again: boolean
  suspects: number
  deaths: number
}

/** What the desks of a channel share. */
export interface DeskHost {
  readonly channel: Channel
  readonly settler: Settler
  /** Names a consumer among all. */
  readonly name: () => string
  /** What goes along, as the script takes it. Throws INVALID_OPTION, UNSUPPORTED, and what the codec throws. */
  readonly along: (owner: string, along: Along) => AlongArgs
  readonly onBad: (stream: string, offset: number) => void
  readonly onGone: (desk: Desk) => void
}

/** The consumers of one group in this process. */
export class Desk implements Source, RedisLessor, Listener {
  readonly stream: string
  readonly group: string
  readonly #host: DeskHost
  readonly #channel: Channel
  readonly #settler: Settler
  readonly #from: string
  readonly #seats = new Map<Consumer, Seat>()
  readonly #takes = new Set<Promise<void>>()
  /** Handed out, and the server does not know it. */
  #unmarked: LeasedByRedis[] = []
  readonly #begun = new Set<LeasedByRedis>()
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
    const { deaths } = this.#channel
    this.#seats.set(consumer, {
      ...{ consumer, id: this.#host.name(), buffer: new Ring<LeasedByRedis>(), out: new Set(), filledMs: 0, ahead: 1 },
      ...{
        waits: false,
        taking: false,
        outdated: false,
        again: false,
        suspects: deaths > 0 ? consumer.maxInFlight : 0,
        deaths,
      },
    })
    consumer.attach(this)
  }

  /** Ends every consumer, which gives its leases back. */
  close(failure?: { readonly error: unknown }): void {
    this.#closed = true
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
    this.mark()
    this.#settler.flush()
  }

  get isIdle(): boolean {
    return this.#seats.size === 0
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
    for (const one of [...seat.out]) this.#giveBack(one)
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

  begin(one: LeasedByRedis): Promise<void> | undefined {
    if (one.standing !== 'out') return undefined
    if (one.suspect || one.waiting) {
      one.waiting = false
      one.marked = true
      const done = this.#step('b', one).then(() => undefined)
      return one.suspect ? done : void done.catch(() => undefined)
    }
    this.#begun.add(one)
    return undefined
  }

  settle(one: LeasedByRedis, as: Settled, along: Along | undefined): Promise<boolean> {
    try {
      if (as !== 'acked') checkSettled('delivery.settle', as)
      const args = along === undefined ? undefined : this.#host.along('delivery.settle', along)
      if (this.#closed) return FALSE
      if (args !== undefined) {
        return this.#step('s', one, [as], args).then((done) => {
          this.#gone(one)
          return done
        })
      }
    } catch (error) {
      return Promise.reject(error)
    }
    const done = this.#step('s', one, [as])
    this.#gone(one)
    return done
  }

  nack(one: LeasedByRedis, options: NackOptions = {}): Promise<boolean> {
    try {
      checkNack(options)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#closed) return FALSE
    const { delayMs = 0, note, count = true, hold = false } = options
    const wait = Math.ceil(delayMs)
    this.#begun.delete(one)
    if (hold) {
      one.waiting = true
      one.untilMs = this.#nowMs() + wait + this.#ackOf(one)
    }
    const done = this.#step('n', one, [wait, count ? 1 : 0, hold ? 1 : 0, note ?? false])
    if (!hold) {
      // It comes next, before what lies in buffers and is newer.
      if (wait === 0) for (const seat of this.#seats.values()) this.#clear(seat)
      this.#gone(one)
    }
    return done
  }

  extend(one: LeasedByRedis, ms: number | undefined): Promise<boolean> {
    try {
      if (ms !== undefined) checkExtend(ms)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#closed) return FALSE
    // Longer than any process lives is as good as for ever, and stays a whole number with the clock added.
    const wait = Math.min(Math.ceil(ms ?? this.#ackOf(one)), 4_503_599_627_370_496)
    if (one.standing === 'out') one.untilMs = this.#nowMs() + wait
    one.marked = true
    return this.#step('e', one, [wait])
  }

  /** Settles an entry that nobody holds. */
  async settleAt(offset: number, as: Settled, along: AlongArgs | undefined): Promise<boolean> {
    for (const seat of this.#seats.values()) this.#clear(seat)
    const untilMs = this.#nowMs() + 30_000
    return this.#settler.step(this.stream, this.group, 'o', offset, 0, untilMs, [as], along)
  }

  /** Tells the server which handlers run, and what is in hand. */
  mark(): void {
    for (const one of this.#begun) if (one.standing === 'out') this.#marks('b', one)
    this.#begun.clear()
    const unmarked = this.#unmarked
    this.#unmarked = []
    for (const one of unmarked) if (one.standing === 'out' && !one.marked) this.#marks('u', one)
  }

  #marks(kind: 'b' | 'u', one: LeasedByRedis): void {
    one.marked = true
    this.#step(kind, one).catch(() => undefined)
  }

  #nowMs(): number {
    return this.#channel.env.monotonicMs()
  }

  #ackOf(one: LeasedByRedis): number {
    return Math.ceil((one.seat as Seat).consumer.ackWaitMs)
  }

  #step(
    kind: Parameters<Settler['step']>[2],
    one: LeasedByRedis,
    rest?: readonly unknown[],
    along?: AlongArgs,
  ): Promise<boolean> {
    return this.#settler.step(this.stream, this.group, kind, one.number, one.token, one.untilMs, rest, along)
  }

  /** It is not in the hand of its consumer any more. */
  #gone(one: LeasedByRedis): void {
    if (one.standing === 'over') return
    this.#over(one.seat as Seat, one)
  }

  #over(seat: Seat, one: LeasedByRedis): void {
    one.standing = 'over'
    this.#begun.delete(one)
    const full = seat.out.size >= seat.consumer.maxInFlight
    seat.out.delete(one)
    if (full && seat.waits) this.#pump(seat)
  }

  #giveBack(one: LeasedByRedis): void {
    one.standing = 'over'
    this.#begun.delete(one)
    this.#step('f', one).catch(() => undefined)
  }

  #clear(seat: Seat): void {
    seat.outdated = seat.taking
    for (let one = seat.buffer.shift(); one !== undefined; one = seat.buffer.shift()) this.#giveBack(one)
  }

  #hand(seat: Seat, one: LeasedByRedis): LeasedByRedis {
    one.standing = 'out'
    seat.out.add(one)
    if (!one.marked) this.#unmarked.push(one)
    if (seat.suspects > 0) {
      seat.suspects--
      one.suspect = true
    }
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
    const args = [this.stream, this.group, this.#id, this.#from, seat.id, most, asked, MOST_BYTES, leaseMs, asked].map(
      String,
    )
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
      if (this.#id !== 0 && !this.#closed) this.#host.onGone(this)
      return
    }
    if (this.#id === 0) this.#id = taken.id
    if (taken.deaths > seat.deaths) {
      seat.deaths = taken.deaths
      seat.suspects = consumer.maxInFlight
      if (taken.deaths > this.#channel.deaths) this.#channel.deaths = taken.deaths
    }
    for (const offset of taken.bad) this.#host.onBad(this.stream, offset)
    const drained = seat.buffer.size === 0
    const untilMs = this.#nowMs() + leaseMs
    for (const out of taken.out) {
      this.#channel.saw(this.stream, out.offset)
      const one = new LeasedByRedis(this, seat, untilMs + out.dueInMs, out)
      if (out.message === undefined) {
        // It is there, but it is no message.
        void this.#settler
          .step(this.stream, this.group, 's', one.number, one.token, untilMs, ['dropped'])
          .catch(() => undefined)
        this.#host.onBad(this.stream, out.offset)
      } else if (present && !this.#closed) seat.buffer.push(one)
      else this.#giveBack(one)
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
    // What the answer held that did not come is given back; the holder has another name from now on.
    const tokens = [...seat.out, ...seat.buffer].map(({ token }) => token)
    const untilMs = this.#nowMs() + seat.consumer.ackWaitMs
    this.#settler.step(this.stream, this.group, 'c', 0, 0, untilMs, [seat.id, tokens]).catch(() => undefined)
    this.#wakeIn(AGAIN_MS)
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
    this.mark()
    if (held > 0) this.#keepUp()
  }
}
