import type { Timer } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { bootMachine, ensureStream, newestSnapshot, streamDetails } from './bootstrap.ts'
import { Follower, type StreamRecord } from './follow.ts'
import type { StreamDetails } from './io.ts'
import { Losses } from './losses.ts'
import type { Machine, MachineEvents } from './machine.ts'
import type { Place } from './place.ts'

const AGAIN_MS = 100
const SURE_MS = 500
/** So long the servers of a cluster may take to make a stream. */
const MAKING_MS = 5_000
/** How often a new leader is asked again. */
const MOST_ASKED = 6
const STILL_MS = 1_500

/** Whose thread it is. */
export interface ThreadOwner extends Place, MachineEvents {
  machine: Machine
  /** The next record; so many more wait behind it. */
  apply(record: StreamRecord, pending: number): void
  /** It begins anew, under another name. */
  rejoin(): void
  /** Those who wait for more look again. */
  grown(): void
}

/** Keeps a process at the stream of a channel: every record once and in order, across losses of the connection and of records. */
export class Thread {
  /** What was there, and is not any more. */
  readonly losses: Losses
  readonly #owner: ThreadOwner
  #follower: Follower | undefined
  /** When the stream was made: another one of the same name has another time. Empty: not known. */
  #created = ''
  /** The highest sequence that the server is known to have had, and the highest since it was asked last what it has. */
  #seen = 0
  #fresh = 0
  /** The machine has begun with what was there. */
  #isBegun = false
  /** What the machine knows is gone: all begins anew. */
  #isGone = false
  #restarting = false
  /** Holes between the records that are allowed for, and those that the others are still to be told of. */
  readonly #holes = new Set<string>()
  #unsaid: (readonly [from: number, to: number])[] = []
  /** The machine knows records that are gone: it is to be made anew from what is there, as that of any process that begins. */
  #outdated = false
  #expecting: Timer | undefined

  constructor(owner: ThreadOwner) {
    this.#owner = owner
    this.losses = new Losses(owner.names.channel)
  }

  /** Resolves once everything is applied that was there at the time of the call. */
  async begin(): Promise<void> {
    const { hall, names } = this.#owner
    this.#stop()
    const details = await this.#asked(() => ensureStream(hall.io, names, hall.settings))
    this.#isGone = false
    await this.#boot()
    this.#isBegun = true
    await this.#follow()
    await this.#owner.reached(details.state.last_seq)
  }

  /** The server has acknowledged this sequence. */
  saw(seq: number): void {
    if (seq > this.#seen) this.#seen = seq
    if (seq > this.#fresh) this.#fresh = seq
    if (this.#follower !== undefined) this.#expect()
  }

  /** Whoever stores has met the stream. */
  met(details: StreamDetails): void {
    if (this.#created === '') this.#created = details.created
    else if (this.#isOther(details)) void this.restored(this.#isBegun)
  }

  /** The connection stands again. `isOpen`: the channel was followed; otherwise only what it published is looked after. */
  async restored(isOpen: boolean): Promise<void> {
    if (isOpen && this.#isBegun) {
      this.#stop()
      await this.#restart()
      return
    }
    if (this.#seen === 0) return
    try {
      await this.#asked(() => this.#details())
    } catch {
      // The connection is gone again; the next time comes.
    }
  }

  /** Another process has found, or this one has said, that these records are gone. */
  heardLost(from: number, to: number): void {
    this.#unsaid = this.#unsaid.filter(([first]) => first !== from)
    const hole = `${from} ${to}`
    if (this.#holes.has(hole)) return
    this.#holes.add(hole)
    this.#tell(from, to)
    this.#outdated = true
    this.#stop()
    void this.#restart()
  }

  /** A record that was applied is not there any more: this process hears of it in its place, as all do. */
  miss(seq: number): void {
    if (!this.#holes.has(`${seq} ${seq}`)) this.#owner.sender.post({ t: 'lost', from: seq, to: seq })
  }

  end(): void {
    this.#expecting?.cancel()
    this.#stop()
  }

  /** What the server has acknowledged must come: a consumer on the server that stands still also sends signs of life. */
  #expect(): void {
    const { env, machine } = this.#owner
    if (this.#expecting !== undefined || this.#seen <= machine.seq) return
    const from = machine.seq
    const follower = this.#follower
    this.#expecting = env.after(STILL_MS, () => {
      this.#expecting = undefined
      if (this.#owner.closed || this.#seen <= this.#owner.machine.seq) return
      if (this.#owner.machine.seq === from && follower !== undefined && follower === this.#follower) {
        void this.#restart()
      }
      this.#expect()
    })
  }

  #stop(): void {
    const follower = this.#follower
    this.#follower = undefined
    follower?.end()
  }

  async #follow(): Promise<void> {
    const { hall, names, machine } = this.#owner
    const follower = new Follower(hall.io, {
      stream: names.stream,
      root: names.root,
      from: machine.seq + 1,
      record: (record, pending) => {
        if (follower === this.#follower) this.#take(record, pending)
      },
      broken: () => {
        if (follower === this.#follower) void this.#restart()
      },
    })
    this.#follower = follower
    await follower.start()
  }

  #take(record: StreamRecord, pending: number): void {
    const next = this.#owner.machine.seq + 1
    if (record.seq < next) return
    if (record.seq > next) {
      // Records are missing before this one: a snapshot stands for them, or they are lost.
      this.#stop()
      void this.#reload(next, record.seq - 1)
      return
    }
    if (record.seq > this.#seen) this.#seen = record.seq
    this.#owner.apply(record, pending)
    if (pending > 0 || this.#unsaid.length === 0) return
    for (const [from, to] of this.#unsaid) this.#owner.sender.post({ t: 'lost', from, to })
    this.#unsaid = []
  }

  async #reload(from: number, to: number): Promise<void> {
    const { hall, names } = this.#owner
    try {
      const snapshot = await newestSnapshot(hall.io, names)
      if (snapshot !== undefined && snapshot.seq >= from) {
        await this.#reboot()
        return
      }
      // nats-server 2.9 passes over a record that is stored while others are purged: what is there all the same is asked for again.
      const there = Math.min(await hall.io.firstFrom(names.stream, `${names.root}>`, from), to + 1)
      if (there > from) this.#hole(from, there - 1)
      this.#owner.machine.seq = there - 1
      await this.#follow()
    } catch {
      await this.#restart()
    }
  }

  /** The machine is made anew from what the server has; what this process holds in it goes on. */
  async #reboot(): Promise<void> {
    const owner = this.#owner
    await this.#boot()
    for (const [id, local] of owner.locals) {
      local.restart(id)
      const found = owner.machine.holders.get(id)
      if (found === undefined) continue
      for (const slot of found.holder.slots) if (slot.state === 'reserved') local.reserved(found.group, slot)
    }
    await this.#follow()
    owner.sender.again()
    for (const local of owner.locals.values()) local.pump()
  }

  async #boot(): Promise<void> {
    const { hall, names } = this.#owner
    const { machine, missing } = await bootMachine(hall.io, names, this.#owner)
    this.#owner.machine = machine
    this.#outdated = false
    for (let at = 0; at < missing.length; ) {
      const from = missing[at] as number
      let to = from
      while (missing[++at] === to + 1) to++
      this.#hole(from, to)
    }
  }

  /**
   * Records are gone that nothing stands for. Whoever has seen them has another state than whoever has not: all begin anew with what is
   * there once they hear of it.
   */
  #hole(from: number, to: number): void {
    this.#owner.machine.lose(from, to)
    const hole = `${from} ${to}`
    if (this.#holes.has(hole)) return
    this.#holes.add(hole)
    this.#unsaid.push([from, to])
    this.#tell(from, to)
  }

  #tell(from: number, to: number): void {
    const { names, hall } = this.#owner
    const text = `the channel "${names.channel}" lacks the records ${from} to ${to}, which NATS had acknowledged`
    const error = new BusError('DATA_LOSS', text, { details: { channel: names.channel, from, to } })
    hall.onEvent({ type: 'data-loss', error })
  }

  /** Takes the thread up again, until that succeeds or the connection is lost once more. */
  async #restart(): Promise<void> {
    if (this.#restarting) return
    this.#restarting = true
    const { hall } = this.#owner
    try {
      while (!this.#owner.closed && hall.io.link.watch.isUp) {
        try {
          await this.#resume()
          return
        } catch {
          await hall.io.rest(AGAIN_MS)
        }
      }
    } finally {
      this.#restarting = false
    }
  }

  async #resume(): Promise<void> {
    const owner = this.#owner
    const { hall, names } = owner
    const details =
      (await this.#asked(() => this.#details())) ??
      (await this.#asked(() => ensureStream(hall.io, names, hall.settings)))
    this.#stop()
    if (!this.#isGone) {
      if (this.#outdated) {
        await this.#reboot()
        return
      }
      await this.#follow()
      owner.sender.again()
      return
    }
    owner.bodies.clear()
    this.#holes.clear()
    this.#unsaid = []
    await this.#boot()
    await this.#follow()
    await owner.reached(details.state.last_seq)
    this.#isGone = false
    owner.rejoin()
    owner.grown()
  }

  /** The stream as it is; undefined when there is none. */
  async #details(): Promise<StreamDetails | undefined> {
    const { hall, names } = this.#owner
    const found = await streamDetails(hall.io, names)
    if (found !== undefined) return found
    // A server that has just begun may not know all of its streams yet: only a second answer is believed.
    await hall.io.rest(SURE_MS)
    return streamDetails(hall.io, names)
  }

  #lags(details: StreamDetails | undefined, seen: number): boolean {
    if (details === undefined || (details.config.num_replicas ?? 1) === 1) return false
    return !this.#isOther(details) && details.state.last_seq < Math.min(seen, this.#seen)
  }

  /** True for a stream that was made anew. In a cluster the moment may be told differently while it is being made. */
  #isOther({ created, cluster }: StreamDetails): boolean {
    if (this.#created === '' || this.#created === created) return false
    return cluster === undefined || Math.abs(Date.parse(created) - Date.parse(this.#created)) > MAKING_MS
  }

  /** What the server has, compared with what it had acknowledged before it was asked; what it answers meanwhile may not be in the answer. */
  async #asked<T extends StreamDetails | undefined>(ask: () => Promise<T>): Promise<T> {
    const before = this.#seen
    this.#fresh = 0
    let details = await ask()
    // The new leader of several copies may not have made its own yet what they had acknowledged.
    for (let tries = 0; tries < MOST_ASKED && this.#lags(details, before); tries++) {
      await this.#owner.hall.io.rest(SURE_MS)
      details = await ask()
    }
    // Somebody else may have asked, and have told, at the same time.
    const known = Math.min(before, this.#seen)
    const last = details?.state.last_seq ?? 0
    const isOther = details === undefined ? this.#created !== '' : this.#isOther(details)
    const from = isOther ? 1 : last + 1
    this.#created = details?.created ?? ''
    if (isOther && this.#isBegun) this.#isGone = true
    if (known < from) {
      this.#seen = Math.max(this.#seen, last)
      return details
    }
    this.#seen = Math.max(last, this.#fresh)
    this.losses.add(from, this.#owner.machine)
    this.#isGone = this.#isBegun
    this.#tell(from, known)
    return details
  }
}
