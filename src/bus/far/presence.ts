import type { Env, Timer } from '../../kit/env.ts'
import type { FarAgent, Interest } from './entry.ts'
import { type Frame, textsOf } from './frames.ts'
import { type Known, type Processes, told, toldAgent } from './processes.ts'

/** A process says at least so often that it lives; among few more often, so that a death is noticed soon. */
export const BEAT_MS = 5_000
const QUICK_BEAT_MS = 1_000
const MORE_FOR_EACH_MS = 200
/** After so many missed ones it is gone. */
const MISSED = 3
/** How long a new process waits for the first answer, and in all. */
const ALONE_MS = 250
const JOIN_MS = 1_000
/** Subscriptions and agents in one frame: brokers bound the size of a message. */
const A_FRAME = 500

/** What presence needs around it. */
export interface PresenceHost {
  readonly env: Env
  readonly id: string
  readonly name: string
  /** Says something to one process, or to all. Never throws. */
  say(type: 'here' | 'beat' | 'sync' | 'bye', to: string | undefined, fields: object): void
  /** An agent of this process, or undefined when it is registered no more. */
  ownAgent(name: string): FarAgent | undefined
  joined(known: Known): void
  /** A process is gone; `broken`: it is still there, but what was under way may be lost. */
  left(known: Known, why: 'bye' | 'silent' | 'broken'): void
}

/** Tells the others what this process wants, and notices who comes and goes. */
export class Presence {
  readonly #host: PresenceHost
  readonly #others: Processes
  readonly #interests = new Map<number, Interest>()
  /** Milliseconds between the beats of other processes, as they say. */
  readonly #beats = new Map<string, number>()
  readonly #agents = new Set<string>()
  readonly #changed = new Set<number | string>()
  #told = false
  #flushing = false
  #resting = true
  #closed = false
  #seq = 0
  #epoch = 0
  #beat: Timer | undefined
  /** Milliseconds from the beat before to the next one, as the others are told. */
  #beatMs = QUICK_BEAT_MS
  #waiting: Timer | undefined
  /** Processes that are said to be there, by those who answered. */
  readonly #expected = new Set<string>()
  #answers = 0
  readonly #ready = Promise.withResolvers<void>()
  isReady = false

  constructor(host: PresenceHost, others: Processes) {
    this.#host = host
    this.#others = others
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** A subscription of this process came or went. */
  changed(interest: Interest, added: boolean): void {
    if (added) this.#interests.set(interest.key, interest)
    else this.#interests.delete(interest.key)
    this.#note(interest.key)
  }

  agentChanged(name: string): void {
    if (this.#host.ownAgent(name) === undefined) this.#agents.delete(name)
    else this.#agents.add(name)
    this.#note(name)
  }

  /** The wire carries frames to us from now on: makes itself known, and asks who is there. */
  join(): void {
    if (this.#closed) return
    this.#told = true
    this.#arm()
    this.#tellAll(undefined, true)
    this.#waiting = this.#host.env.after(ALONE_MS, () => {
      if (this.#answers === 0) this.#becomeReady()
      else this.#waiting = this.#host.env.after(JOIN_MS - ALONE_MS, () => this.#becomeReady())
    })
  }

  /** From now on the others know what we want; before, they sent us nothing. */
  wake(): void {
    if (!this.#resting) return
    this.#resting = false
    this.#changed.clear()
    this.#seq++
    if (this.#told) this.#tellAll(undefined, false)
  }

  rest(): void {
    if (this.#resting || this.#closed) return
    this.#resting = true
    this.#changed.clear()
    this.#seq++
    if (this.#told) this.#tellAll(undefined, false)
  }

  /** The connection was lost and stands again: what was under way may be lost, and others may have come and gone. */
  rejoin(): void {
    if (!this.#told || this.#closed) return
    this.#epoch++
    this.#seq++
    this.#arm()
    this.#tellAll(undefined, true)
  }

  close(): void {
    if (this.#closed) return
    if (this.#told) this.#host.say('bye', undefined, {})
    this.#closed = true
    this.#beat?.cancel()
    this.#becomeReady()
  }

  /** An announcement of another process. */
  here(frame: Frame): void {
    const { known, joined, broken, incomplete } = this.#others.apply(frame)
    if (known === undefined) return
    this.#expect(frame)
    if (broken) this.#host.left(known, 'broken')
    if (incomplete) this.#host.say('sync', frame.from, {})
    if (joined) this.#host.joined(known)
    if (frame.fields.ask === true) this.#tellAll(frame.from, false)
    else if (frame.fields.full === true && known.seq >= 0) this.#answered(frame)
  }

  beat(frame: Frame): void {
    const { from, fields } = frame
    if (this.#others.heard(from, fields.epoch as number, fields.seq as number)) this.#expect(frame)
    else this.#host.say('sync', from, {})
  }

  /** The next beat comes when the process says; nobody is less patient than with the shortest one. */
  #expect({ from, fields: { ms } }: Frame): void {
    this.#beats.set(from, Math.min(BEAT_MS, Math.max(QUICK_BEAT_MS, (ms as number | undefined) ?? BEAT_MS)))
  }

  sync({ from }: Frame): void {
    this.#tellAll(from, this.#others.find(from) === undefined)
  }

  bye({ from }: Frame): void {
    const known = this.#others.forget(from)
    this.#beats.delete(from)
    if (known !== undefined) this.#host.left(known, 'bye')
  }

  #answered({ from, fields }: Frame): void {
    if (this.isReady) return
    this.#answers++
    this.#expected.add(from)
    for (const id of textsOf(fields.peers, 10_000)) if (id !== this.#host.id) this.#expected.add(id)
    for (const id of this.#expected) if ((this.#others.find(id)?.seq ?? -1) < 0) return
    this.#becomeReady()
  }

  #becomeReady(): void {
    this.#waiting?.cancel()
    if (this.isReady) return
    this.isReady = true
    this.#ready.resolve()
  }

  /** Changes of one moment are told in one frame. */
  #note(what: number | string): void {
    if (this.#resting || this.#closed) return
    this.#changed.add(what)
    if (this.#flushing) return
    this.#flushing = true
    this.#host.env.soon(() => this.flush())
  }

  /** Tells what changed; called before anything else is said, so that nobody learns of a message before its sender's interests. */
  flush(): void {
    this.#flushing = false
    if (this.#changed.size === 0 || this.#resting || this.#closed) return
    const changed = [...this.#changed]
    this.#changed.clear()
    if (!this.#told) {
      this.#seq++
      return
    }
    for (let at = 0; at < changed.length; at += A_FRAME) {
      const add: object[] = []
      const gone: (number | string)[] = []
      for (const one of changed.slice(at, at + A_FRAME)) {
        const value = this.#valueOf(one)
        if (value === undefined) gone.push(one)
        else add.push(value)
      }
      const base = this.#seq++
      this.#host.say('here', undefined, {
        ...this.#head(),
        base,
        seq: this.#seq,
        full: false,
        last: true,
        add,
        gone,
        ask: false,
        peers: [],
      })
    }
  }

  #valueOf(what: number | string): object | undefined {
    if (typeof what === 'string') {
      const agent = this.#host.ownAgent(what)
      return agent === undefined ? undefined : toldAgent(agent)
    }
    const interest = this.#interests.get(what)
    return interest === undefined ? undefined : told(interest)
  }

  /** Everything this process wants, to one or to all. */
  #tellAll(to: string | undefined, ask: boolean): void {
    if (this.#closed || !this.#told) return
    this.flush()
    const all: object[] = []
    if (!this.#resting) {
      for (const one of [...this.#agents, ...this.#interests.keys()]) {
        const value = this.#valueOf(one)
        if (value !== undefined) all.push(value)
      }
    }
    const parts = Math.max(1, Math.ceil(all.length / A_FRAME))
    for (let part = 0; part < parts; part++) {
      const last = part === parts - 1
      this.#host.say('here', to, {
        ...this.#head(),
        base: part,
        seq: this.#seq,
        full: true,
        last,
        add: all.slice(part * A_FRAME, (part + 1) * A_FRAME),
        gone: [],
        ask: ask && last,
        peers: last ? [...this.#others.all()].map(({ id }) => id) : [],
      })
    }
  }

  #head(): { readonly name: string; readonly epoch: number; readonly ms: number } {
    return { name: this.#host.name, epoch: this.#epoch, ms: this.#beatMs }
  }

  #arm(): void {
    this.#beat?.cancel()
    const armedMs = this.#host.env.monotonicMs()
    const ms = Math.min(BEAT_MS, QUICK_BEAT_MS + MORE_FOR_EACH_MS * this.#others.size)
    this.#beatMs = ms
    this.#beat = this.#host.env.after(ms, () => {
      if (this.#closed) return
      // First, since the others are told how long it is until the next one: it may be longer than it was until this one.
      this.#arm()
      this.#host.say('beat', undefined, { epoch: this.#epoch, seq: this.#seq, ms: this.#beatMs })
      // Whoever stood still itself has not read what the others said meanwhile: it judges at the next beat.
      if (this.#host.env.monotonicMs() - armedMs < 2 * ms) this.#lookForSilent()
    })
  }

  #lookForSilent(): void {
    const nowMs = this.#host.env.monotonicMs()
    for (const known of [...this.#others.all()]) {
      if (nowMs - known.heardMs <= (this.#beats.get(known.id) ?? BEAT_MS) * MISSED) continue
      this.#others.forget(known.id)
      this.#beats.delete(known.id)
      this.#host.left(known, 'silent')
    }
  }
}
