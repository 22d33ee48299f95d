import { Heap } from './heap.ts'
import type { Parked } from './parked.ts'
import { type Holder, Lane, type Slot, sessionOf } from './slot.ts'

// Every call costs O(log n) for the one entry that it is about, however many entries, sessions and consumers there are.

/** As many entries that were met for the first time wait for owners of sessions; then whoever meets one more waits with it. */
const MOST_NEW = 16_384

/** Which consumer of a group owns which session. Made when a second consumer comes: one alone owns them all. */
export class Sessions {
  readonly #parked: Parked
  readonly #lanes = new Map<string, Lane>()
  /** For each owner its sessions in which entries wait, by the oldest. Entries of a queue may be outdated: see {@link Lane.offered}. */
  readonly #queues = new Map<Holder, Heap<Lane>>()

  /** Those who hold entries now own their sessions. */
  constructor(parked: Parked, leased: ReadonlyMap<number, Slot>) {
    this.#parked = parked
    // Last those whose consumer is surely there: of one that has ended, the last settlements may still be on their way.
    for (const state of ['settling', 'leased'] as const) {
      for (const slot of leased.values()) {
        if (slot.state !== state) continue
        slot.lane = undefined
        if (slot.holder !== undefined) this.take(slot, sessionOf(slot), slot.holder)
      }
    }
  }

  /** The older one of that, an entry or the offset of a new one, and of what waits for this consumer; 0 for nothing. */
  older(next: Slot | number, holder: Holder): Slot | number {
    const own = this.first(holder)
    if (own === undefined) return next
    const offset = typeof next === 'number' ? next : next.offset
    return offset === 0 || own.offset < offset ? own : next
  }

  /** The oldest entry that waits for this consumer, as the owner of its session. */
  first(holder: Holder): Slot | undefined {
    const queue = this.#queues.get(holder)
    if (queue === undefined) return undefined
    for (let lane = queue.peek(); lane !== undefined; lane = queue.peek()) {
      if (lane.owner === holder && lane.offered === queue.key) {
        const head = lane.head()
        if (head?.offset === queue.key) return head
        lane.offered = 0
        queue.shift()
        this.#offer(lane)
      } else queue.shift()
    }
    this.#queues.delete(holder)
    return undefined
  }

  /** Somebody else holds entries of the session. */
  bars(session: string, holder: Holder): boolean {
    const owner = this.#lanes.get(session)?.owner
    return owner !== undefined && owner !== holder
  }

  /** False when no entry that is met for the first time can be lined up any more. */
  get room(): boolean {
    return this.#parked.lined < MOST_NEW
  }

  /** Entries wait for owners. */
  get any(): boolean {
    return this.#parked.lined > 0
  }

  /** The entry, which nobody holds, waits for the owner of its session. */
  line(slot: Slot, session: string): void {
    const lane = this.#lanes.get(session) as Lane
    this.#parked.line(slot)
    slot.lane = lane
    lane.lined ??= new Heap()
    lane.lined.push(slot.offset, slot)
    this.#offer(lane)
  }

  /** The consumer gets the entry: it owns its session. Called before the entry leaves {@link Parked}. */
  take(slot: Slot, session: string | undefined, holder: Holder): void {
    if (session === undefined) return
    let lane = this.#lanes.get(session)
    if (lane === undefined) this.#lanes.set(session, (lane = new Lane(session)))
    if (slot.state === 'lined') {
      // It is what `first` has named.
      lane.lined?.shift()
      lane.offered = 0
      this.#queues.get(holder)?.shift()
      this.#parked.unline(slot)
    }
    lane.owner = holder
    lane.held++
    slot.lane = lane
    if (lane.offered === 0) this.#offer(lane)
  }

  /** The consumer does not hold the entry any more. */
  release(slot: Slot, holder: Holder): void {
    // Who holds nothing owns nothing.
    if (holder.held === 0) this.#queues.delete(holder)
    const { lane } = slot
    if (lane === undefined) return
    slot.lane = undefined
    if (--lane.held > 0) return
    lane.owner = undefined
    lane.offered = 0
    this.#free(lane)
  }

  /** An entry that nobody held is settled. */
  gone(slot: Slot): void {
    const { lane } = slot
    if (lane === undefined) return
    slot.lane = undefined
    if (lane.owner === undefined) this.#free(lane)
  }

  /** Nobody waits for an owner any more. */
  end(): void {
    for (const lane of this.#lanes.values()) {
      lane.owner = undefined
      for (let head = lane.head(); head !== undefined; head = lane.head()) this.#makeReady(lane, head)
    }
    this.#lanes.clear()
    this.#queues.clear()
  }

  /** The oldest entry may go to anybody; the others follow whoever takes it. */
  #free(lane: Lane): void {
    const head = lane.head()
    if (head !== undefined) {
      this.#makeReady(lane, head)
      head.lane = lane
    }
    if (lane.head() !== undefined) return
    if (head !== undefined) head.lane = undefined
    if (this.#lanes.get(lane.session) === lane) this.#lanes.delete(lane.session)
  }

  #makeReady(lane: Lane, head: Slot): void {
    lane.lined?.shift()
    head.lane = undefined
    this.#parked.unline(head)
    this.#parked.ready(head)
  }

  /** The owner finds the oldest entry of the session in its queue. */
  #offer(lane: Lane): void {
    const { owner } = lane
    const head = lane.head()
    if (owner === undefined || head === undefined) return
    if (lane.offered !== 0 && lane.offered <= head.offset) return
    let queue = this.#queues.get(owner)
    if (queue === undefined) this.#queues.set(owner, (queue = new Heap()))
    // Outdated ones are found at the top only: where they gather below it, they are cleared away.
    if (queue.size > 64 + 2 * this.#lanes.size) this.#clear(owner, queue)
    lane.offered = head.offset
    queue.push(head.offset, lane)
  }

  #clear(owner: Holder, queue: Heap<Lane>): void {
    queue.filter(() => false)
    for (const lane of this.#lanes.values()) {
      if (lane.owner === owner && lane.offered !== 0) queue.push(lane.offered, lane)
    }
  }
}
