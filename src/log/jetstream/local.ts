import type { BusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import { checkAlong, checkExtend, checkNack, checkSettled } from '../checks.ts'
import type { Consumer, Source } from '../consumer.ts'
import { LeasedDelivery, type Lessor } from '../delivery.ts'
import { Heap } from '../heap.ts'
import type { Along, Delivery, NackOptions, Settled } from '../log.ts'
import { Slot as HeldSlot } from '../slot.ts'
import { type Body, entryOf } from './bodies.ts'
import type { Group } from './group.ts'
import type { LocalConsumer, Place } from './place.ts'
import type { FromOp } from './records.ts'
import type { Slot } from './slot.ts'

// Hot path: `deliver` runs once for each message.

const FALSE = Promise.resolve(false)
/** Nothing of its own seen for so long, a process asks first whether what is set aside for it still is. */
const FRESH_MS = 1_500

/** What was handed out: its bytes may have to go along with its settlement. */
class Held extends HeldSlot {
  readonly body: Body
  readonly message: Message
  /** In which life of its consumer. */
  readonly life: number

  constructor(offset: number, body: Body, message: Message, life: number) {
    super(offset)
    this.life = life
    this.body = body
    this.message = message
  }
}

/** A consumer of this process: what the machine has set aside for it, handed out when it is asked for. */
export class Local implements Source, Lessor, LocalConsumer {
  readonly stream: string
  readonly group: string
  readonly part: string
  readonly from: FromOp
  readonly consumer: Consumer
  id = ''
  readonly #channel: Place
  #state: Group | undefined
  #ready = new Heap<{ readonly slot: Slot; readonly token: number; readonly sinceMs: number }>()
  #waits = false
  #wants = false
  /** Somebody else waits, and was given nothing because this one waited for its bytes or its turn. */
  #owes = false
  /** What was given back and is not known to have gone yet, by session: what lies behind it waits for it. */
  readonly #giving = new Map<string, { readonly slot: Slot; readonly token: number }>()
  #gone = false
  /** How often it began anew under another name: names of leases from before may be those of others now. */
  #life = 0

  constructor(
    channel: Place,
    place: { stream: string; part: string; group: string; from: FromOp },
    consumer: Consumer,
  ) {
    this.#channel = channel
    this.stream = place.stream
    this.part = place.part
    this.group = place.group
    this.from = place.from
    this.consumer = consumer
  }

  /** It waits, with nothing at hand. */
  get hungry(): boolean {
    return this.#waits
  }

  /** The machine has set an entry aside for it. */
  reserved(group: Group, slot: Slot): void {
    this.#state = group
    this.#ready.push(slot.offset, { slot, token: slot.token, sinceMs: this.#channel.storedMs })
    this.#wants = false
    this.#channel.supply.prefetch(slot.offset)
  }

  /** The consumer begins anew with the channel: nothing from before holds. */
  restart(id: string): void {
    if (this.id !== id) {
      this.#life++
      this.#state = undefined
    }
    this.id = id
    this.#ready = new Heap()
    this.#giving.clear()
    this.#wants = false
  }

  /** Hands out to whoever waits. */
  pump(): void {
    while (this.consumer.asks) {
      const delivery = this.deliver()
      if (delivery === undefined) {
        this.#ask()
        return
      }
      this.consumer.give(delivery)
    }
    this.#waits = false
    if (this.#owes) this.share()
  }

  deliver(): Delivery | undefined {
    for (;;) {
      const top = this.#ready.peek()
      if (top === undefined || this.#state === undefined) return undefined
      const { slot, token, sinceMs } = top
      if (slot.token !== token || slot.state !== 'reserved') {
        this.#ready.shift()
        continue
      }
      // Without a connection it would be handled, and perhaps once more by another process.
      if (!this.#channel.hall.io.link.watch.isUp) return undefined
      if (this.#isGiving(slot.session) || !this.#channel.isFresh(sinceMs, FRESH_MS)) return undefined
      const body = this.#channel.bodies.get(slot.offset)
      const loaded = body ?? this.#channel.supply.loaded(slot.offset)
      if (loaded === undefined) {
        this.#channel.supply.load(slot.offset, this)
        return undefined
      }
      this.#ready.shift()
      const part = this.#state.part
      const at = part.timeAt(part.numberFrom(slot.offset))
      const entry = entryOf(slot.offset, at, loaded === 'lost' ? undefined : loaded, this.#channel.env)
      if (entry.type === 'bad') {
        this.#channel.supply.damaged(part, entry.offset, entry.reason)
        this.#channel.sender.post({ t: 'settle', p: this.part, g: this.group, o: slot.offset, k: token, as: 'dropped' })
        continue
      }
      this.#channel.sender.lazily(this.#state, slot.offset, token, false)
      const held = new Held(slot.offset, loaded as Body, entry.message, this.#life)
      held.token = token
      held.attempts = slot.attempts
      held.note = slot.note
      held.suspect = slot.suspect
      const leftMs = slot.held
        ? Math.min(slot.delayMs, slot.dueMs - this.#channel.nowMs(), slot.dueAt - this.#channel.wallMs())
        : 0
      return new LeasedDelivery(this, held, entry, Math.max(0, leftMs), this.#sureUntilMs(sinceMs))
    }
  }

  wait(): void {
    this.#waits = true
    this.#ask()
  }

  leave(): void {
    this.#gone = true
    this.#channel.leave(this)
  }

  /** Gives back half of what it has at hand, or the only one: somebody else waits. */
  share(): void {
    const state = this.#state
    this.#owes = this.#waits && this.#ready.size > 0
    if (state === undefined || this.#ready.size === 0 || this.#waits) return
    const mine: { slot: Slot; token: number }[] = []
    const kept: { readonly slot: Slot; readonly token: number; readonly sinceMs: number }[] = []
    for (let one = this.#ready.shift(); one !== undefined; one = this.#ready.shift()) {
      if (one.slot.token === one.token && one.slot.state === 'reserved') kept.push(one)
    }
    // What belongs to a session of which this consumer holds more would come back to it.
    for (let left = Math.ceil(kept.length / 2), at = kept.length - 1; left > 0 && at >= 0; left--, at--) {
      const one = kept[at] as (typeof kept)[number]
      const { session, holder } = one.slot
      if (
        session !== undefined &&
        [...(holder?.slots ?? [])].some((slot) => slot !== one.slot && slot.session === session)
      )
        continue
      mine.push(one)
      kept.splice(at, 1)
    }
    for (const one of kept) this.#ready.push(one.slot.offset, one)
    if (mine.length === 0) return
    for (const one of mine) if (one.slot.session !== undefined) this.#giving.set(one.slot.session, one)
    const o = mine.flatMap(({ slot, token }) => [slot.offset, token])
    this.#channel.sender.post({ t: 'free', p: this.part, g: this.group, o })
  }

  /** That the lease has begun is said a moment later: until then it may go as what is set aside does for a silent process. */
  #sureUntilMs(sinceMs: number): number {
    const heardMs = Math.max(sinceMs, this.#channel.sender.seenMs)
    return Math.min(heardMs + FRESH_MS, this.#channel.env.monotonicMs() + this.consumer.ackWaitMs)
  }

  begin(slot: HeldSlot, token: number): Promise<boolean> | undefined {
    if (this.#over || this.#gone) return undefined
    const state = this.#stateOf(slot)
    if (state?.slots.get(slot.offset)?.token !== token) return undefined
    const { sender } = this.#channel
    if (slot.suspect) {
      sender.unlazily(state, slot.offset)
      return sender.submit({ t: 'begin', p: this.part, g: this.group, o: [slot.offset, token] }) as Promise<boolean>
    }
    sender.lazily(state, slot.offset, token, true)
    return undefined
  }

  settle(slot: HeldSlot, token: number, as: Settled, along: Along | undefined): Promise<boolean> {
    try {
      if (as !== 'acked') checkSettled('delivery.settle', as)
      if (along !== undefined) checkAlong('delivery.settle', along, this.#channel)
    } catch (error) {
      return Promise.reject(error)
    }
    const state = this.#stateOf(slot)
    if (this.#over || state === undefined) return FALSE
    const { sender } = this.#channel
    if (as === 'acked' && along === undefined) return quiet(sender.ack(state, slot.offset, token))
    sender.unlazily(state, slot.offset)
    const op = { t: 'settle', p: this.part, g: this.group, o: slot.offset, k: token, as } as const
    if (along === undefined) return quiet(sender.submit(op) as Promise<boolean>)
    const { body, message } = slot as Held
    return quiet(this.#channel.settleAlong(op, along, body.bytes, message))
  }

  nack(slot: HeldSlot, token: number, options: NackOptions = {}): Promise<boolean> {
    try {
      checkNack(options)
    } catch (error) {
      return Promise.reject(error)
    }
    const state = this.#stateOf(slot)
    if (this.#over || state === undefined) return FALSE
    const { delayMs = 0, note, count = true, hold = false } = options
    this.#channel.sender.unlazily(state, slot.offset)
    return quiet(
      this.#channel.sender.submit({
        ...{
          t: 'nack',
          p: this.part,
          g: this.group,
          o: slot.offset,
          k: token,
          d: Math.ceil(delayMs),
          u: count,
          h: hold,
        },
        ...(note !== undefined && { n: note }),
      }) as Promise<boolean>,
    )
  }

  extend(slot: HeldSlot, token: number, ms: number | undefined): Promise<boolean> {
    try {
      if (ms !== undefined) checkExtend(ms)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#over || this.#stateOf(slot) === undefined) return FALSE
    const op = {
      t: 'extend',
      p: this.part,
      g: this.group,
      o: slot.offset,
      k: token,
      ms: ms ?? this.consumer.ackWaitMs,
    } as const
    return quiet(this.#channel.sender.submit(op) as Promise<boolean>)
  }

  #isGiving(session: string | undefined): boolean {
    if (session === undefined || this.#giving.size === 0) return false
    const one = this.#giving.get(session)
    if (one === undefined) return false
    if (one.slot.token === one.token && one.slot.state === 'reserved') return true
    this.#giving.delete(session)
    return false
  }

  get #over(): boolean {
    return this.#channel.closed
  }

  /** The group, for what was handed out in this life of the consumer. */
  #stateOf(slot: HeldSlot): Group | undefined {
    return (slot as Held).life === this.#life ? this.#state : undefined
  }

  /** Says that it waits, where others of the group may have more than they need. */
  #ask(): void {
    if (this.#wants || this.id === '') return
    const found = this.#channel.machine.holders.get(this.id)
    if (found === undefined || found.group.holders.length < 2) return
    this.#wants = true
    this.#channel.sender.post({ t: 'want', c: this.id })
  }
}

/** Nobody needs to wait for a settlement: its failure must not end the process. */
function quiet(settled: Promise<boolean>): Promise<boolean> {
  settled.catch((_: BusError) => undefined)
  return settled
}
