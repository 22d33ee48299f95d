import { BusError, isBusError } from '../../kit/errors.ts'
import { hexOf24 } from '../../message/ids.ts'
import type { Envelope } from '../../message/message.ts'
import type { Wire, WireSubscription } from '../../wire/wire.ts'
import type { AgentRecord } from '../agents.ts'
import type { Core } from '../core.ts'
import type { Distributor } from '../distribute.ts'
import type { FarVoice } from '../kept.ts'
import type { Receipt } from '../receipt.ts'
import { unanswerable } from '../request.ts'
import type { Entry, Route } from '../router.ts'
import type { FarAgent, Process } from './entry.ts'
import { ALL_TOPIC, type Frame, messageOf, packed, readFrame, topicOf, writeFrame } from './frames.ts'
import { Intake } from './intake.ts'
import { messageFrame } from './message-frame.ts'
import { Outgoing } from './outgoing.ts'
import { type PlanHost, planFor, widen } from './plan.ts'
import { Presence } from './presence.ts'
import { type Known, Processes } from './processes.ts'
import { readFar } from './read.ts'
import type { Carried, FarPending, FarSide, Load, Plan, Poured, WireFigures } from './side.ts'
import { farVoice } from './voice.ts'

/** A message for more processes than this goes out once, to all. */
const MOST_APART = 8
/** Processes that are asked who they are within so many milliseconds. */
const MOST_ASKED = 100
const ASK_AGAIN_MS = 1_000
/** A bus whose wire cannot carry frames yet is ready after so long, alone. */
const LONGEST_MS = 5_000

/** What joining needs of the bus besides its core. */
export interface FarOptions {
  readonly wire: Wire
  readonly spread: Distributor
  /** Makes the inbox of an agent that is not there, where unknown agents are held. */
  readonly hold: (name: string) => AgentRecord | undefined
}

/** The other processes on a wire: who they are, what goes to them, and what comes from them. */
export class Far implements FarSide {
  readonly id: string
  readonly others: Processes
  readonly ready: Promise<void>
  readonly voice: FarVoice
  readonly #core: Core
  readonly #wire: Wire
  readonly #planHost: PlanHost
  readonly #presence: Presence
  readonly #intake: Intake
  readonly #outgoing: Outgoing
  readonly #subscriptions: WireSubscription[] = []
  readonly #unwatch: Disposable | undefined
  /** Unknown processes that were asked who they are, since the clock last said so. */
  readonly #asking = new Set<string>()
  #askingMs = 0
  /** What is done with each kind of frame. */
  readonly #take: Readonly<Record<Frame['type'], (frame: Frame) => void>> = {
    here: (frame) => this.#presence.here(frame),
    beat: (frame) => this.#presence.beat(frame),
    sync: (frame) => this.#presence.sync(frame),
    bye: (frame) => this.#presence.bye(frame),
    message: (frame) => this.#intake.message(frame),
    answer: (frame) => this.#answered(frame),
    done: (frame) => this.#outgoing.done(frame),
    part: (frame) => this.#outgoing.part(frame),
    end: (frame) => this.#outgoing.end(frame),
    credit: (frame) => this.#intake.credit(frame),
    cancel: (frame) => this.#intake.cancel(frame),
    read: (frame) => this.#intake.read(frame),
    kept: ({ from, fields }) => this.#core.keeper?.heard(from, fields.k as Readonly<Record<string, unknown>>),
  }
  #connected = true
  #closed = false
  #framesIn = 0
  #framesOut = 0
  #dropped = 0

  constructor(core: Core, { wire, spread, hold }: FarOptions) {
    this.#core = core
    this.#wire = wire
    this.id = this.#secret(24)
    core.requests.shareWith(this.id, () => this.#secret(16))
    const now = (): { ms: number; wallMs: number } => ({ ms: core.env.monotonicMs(), wallMs: core.env.wallMs() })
    this.others = new Processes(now, {
      changed: (pattern) => core.router.touched(pattern),
      agentCame: (name) => this.#handOver(name),
    })
    this.voice = farVoice(this.id, this.others, (to, fields) => this.#trySay(to, 'kept', { k: fields }))
    this.#planHost = { id: this.id, router: core.router, agents: core.agents, others: this.others }
    this.#presence = new Presence(
      {
        env: core.env,
        id: this.id,
        name: core.options.name,
        say: (type, to, fields) => this.#trySay(to, type, fields),
        ownAgent: (name) => this.#ownAgent(name),
        joined: (known) => core.announce('process.joined', { process: known.id, name: known.name }),
        left: (known, why) => this.#left(known, why),
      },
      this.others,
    )
    this.#intake = new Intake(core, spread, this.#planHost, {
      say: (to, type, fields) => this.#say(topicOf(to), type, fields),
      dropped: () => this.#dropped++,
      hold,
    })
    this.#outgoing = new Outgoing(core, {
      tell: (to, type, fields) => this.#trySay(to, type, fields),
      nameOf: (id) => this.others.find(id)?.name ?? id,
    })
    core.router.far = (tokens) => this.others.match(tokens)
    core.router.onEntry = (entry, added) => this.#entryChanged(entry, added)
    this.#unwatch = wire.watch?.on(({ type }) => {
      if (type === 'lost') this.#disconnected()
      else if (type === 'restored') this.#restored()
    })
    this.#connected = wire.watch?.isUp ?? true
    this.ready = this.#join()
    // Whoever does not wait for it must not die of it.
    this.ready.catch(() => undefined)
  }

  get isReady(): boolean {
    return this.#presence.isReady
  }

  plan(route: Route, message: Envelope, kept: boolean): Plan {
    return planFor(this.#planHost, route, message, kept)
  }

  planSend(route: Route, message: Envelope, names: readonly string[], everyone: ReadonlySet<string> | undefined): Plan {
    const plan = planFor(this.#planHost, route, message, false)
    return { ...plan, load: widen(this.#planHost, plan.load, names, everyone) }
  }

  carry(load: Load, message: Envelope, ask: FarPending | undefined, receipt: Receipt | undefined): Carried {
    const processes = [...load.targets]
    if (processes.length === 0) return { sent: 0, refusal: undefined }
    const reached: string[] = []
    const re = ask === undefined ? (receipt === undefined ? undefined : this.#secret(32)) : message.replyTo
    let refusal: Carried['refusal']
    try {
      // Whoever waits for others must not wait for what a lost connection swallows.
      if (re !== undefined && !this.#connected) {
        throw new BusError('BROKER_UNREACHABLE', `wire "${this.#wire.name}" is not connected`, {
          details: { topic: message.topic },
        })
      }
      // Whoever gets the message must have heard before what its sender wants.
      this.#presence.flush()
      const frame = messageFrame(this.id, this.#core.clock.nowMs(), { load, message, ask, re })
      if (processes.length > MOST_APART) {
        this.#send(ALL_TOPIC, frame)
        reached.push(...processes)
      } else {
        for (const id of processes) {
          this.#send(topicOf(id), frame)
          reached.push(id)
        }
      }
    } catch (thrown) {
      const error = isBusError(thrown)
        ? thrown
        : new BusError('INVALID_PAYLOAD', 'it cannot be sent', { cause: thrown })
      refusal = { name: `wire ${this.#wire.name}`, error }
    }
    // No answer comes before this call has ended.
    if (ask !== undefined && re !== undefined) this.#outgoing.asked(ask, re, reached)
    else if (receipt !== undefined && re !== undefined && reached.length > 0)
      this.#outgoing.expect(re, receipt, reached)
    return { sent: reached.length, refusal }
  }

  answer(message: Envelope): boolean {
    const to = /^_inbox\.([0-9a-f]{24})\./.exec(message.topic)?.[1]
    if (to === undefined || to === this.id || this.#closed) return false
    this.#say(topicOf(to), 'answer', { m: packed(message) })
    return true
  }

  askOf(message: Envelope): Poured | undefined {
    return this.#intake.askOf(message)
  }

  unanswerable(message: Envelope, error: unknown): boolean {
    const ask = this.#intake.askOf(message)
    ask?.fail(unanswerable(message.topic, error))
    return ask !== undefined
  }

  agent(name: string): FarAgent | undefined {
    return this.others.agent(name)
  }

  agents(): Iterable<FarAgent> {
    return this.others.agents()
  }

  processes(): readonly Process[] {
    return this.others.list()
  }

  agentChanged(name: string): void {
    this.#presence.agentChanged(name)
  }

  read(stream: string, from: number): AsyncIterableIterator<unknown> {
    return readFar(this.#core, stream, async (pending, re) => {
      await this.ready
      const processes = [...this.others.all()].map(({ id }) => id)
      this.#outgoing.asked(pending, re, processes)
      for (const id of processes) this.#say(topicOf(id), 'read', { re, stream, start: from })
      return processes.length
    })
  }

  wake(): void {
    this.#presence.wake()
  }

  rest(): void {
    this.#presence.rest()
  }

  close(): void {
    if (this.#closed) return
    const error = new BusError('BUS_CLOSED', `bus "${this.#core.options.name}" was closed before it answered`)
    this.#intake.close(error)
    for (const known of [...this.others.all()]) this.#outgoing.lost(known, error)
    this.#presence.close()
    this.#closed = true
    this.#unwatch?.[Symbol.dispose]()
    for (const one of this.#subscriptions) one.unsubscribe()
  }

  figures(): WireFigures {
    return {
      wire: this.#wire.name,
      id: this.id,
      connected: this.#connected,
      processes: this.others.size,
      framesIn: this.#framesIn,
      framesOut: this.#framesOut,
      framesDropped: this.#dropped,
      asks: this.#intake.size,
    }
  }

  /** Also with a wire that carries nothing yet, the bus may be used before long; it joins as soon as it can. */
  async #join(): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = this.#core.env.after(LONGEST_MS, late.resolve)
    try {
      await Promise.race([this.#joined(), late.promise])
    } finally {
      timer.cancel()
    }
  }

  async #joined(): Promise<void> {
    const onFrame = (_topic: string, bytes: Uint8Array): void => this.#receive(bytes)
    for (const topic of [topicOf(this.id), ALL_TOPIC]) this.#subscriptions.push(this.#wire.subscribe(topic, onFrame))
    await Promise.all(this.#subscriptions.map((one) => one.ready))
    this.#presence.join()
    await this.#presence.ready
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#framesIn++
    try {
      const frame = readFrame(bytes)
      if (frame.from === this.id) this.#said(frame)
      else this.#follow(frame)
    } catch (error) {
      // The wire tells it to its `onError`.
      this.#dropped++
      throw error
    }
  }

  /** A frame of our own: the wire gives them back, or somebody says goodbye in our name. */
  #said({ type }: Frame): void {
    if (type === 'bye') this.#presence.rejoin()
  }

  #follow(frame: Frame): void {
    const { type, from } = frame
    const tellsWho = type === 'here' || type === 'beat' || type === 'bye'
    if (!tellsWho && !this.others.heard(from, undefined, undefined)) this.#askWho(from)
    this.#take[type](frame)
  }

  #answered({ fields }: Frame): void {
    const answer = messageOf(fields, this.#core.env)
    if (this.#core.requests.owns(answer.topic)) this.#core.requests.deliver(answer)
    else this.#dropped++
  }

  /** A process that nobody told us of: asks it, at most a hundred of them in a moment. */
  #askWho(id: string): void {
    const nowMs = this.#core.env.monotonicMs()
    if (nowMs - this.#askingMs > ASK_AGAIN_MS) {
      this.#asking.clear()
      this.#askingMs = nowMs
    }
    if (this.#asking.has(id) || this.#asking.size >= MOST_ASKED) return
    this.#asking.add(id)
    this.#trySay(id, 'sync', {})
  }

  /** Throws what the wire throws. */
  #say(topic: string, type: Frame['type'], fields: object): void {
    this.#send(topic, writeFrame(type, this.id, fields))
  }

  #send(topic: string, frame: Uint8Array): void {
    try {
      this.#wire.publish(topic, frame)
      this.#framesOut++
    } catch (error) {
      this.#dropped++
      throw error
    }
  }

  /** What is lost here is told again: announcements by the next beat, the rest ends at a deadline. */
  #trySay(to: string | undefined, type: Frame['type'], fields: object): boolean {
    if (this.#closed) return false
    try {
      this.#say(to === undefined ? ALL_TOPIC : topicOf(to), type, fields)
      return true
    } catch (error) {
      this.#core.announce('callback.failed', { error })
      return false
    }
  }

  #entryChanged(entry: Entry, added: boolean): void {
    const { queue, pattern, order: key, group, session, sender, notFrom, observer } = entry
    // Inboxes are told of as agents, once those are registered.
    if (this.#core.agents.find(pattern.slice(1).join('.'))?.entry === entry) return
    const { holds } = queue.backlog
    const interest = { key, pattern: pattern.join('.'), group, session, sender, notFrom, observer, holds }
    this.#presence.changed(interest, added)
  }

  #ownAgent(name: string): FarAgent | undefined {
    const record = this.#core.agents.find(name)
    if (record?.registeredAt === undefined) return undefined
    const { type, capabilities, status } = record
    return { name, type, capabilities, status }
  }

  /** Messages that were held here for an agent go to it. */
  #handOver(name: string): void {
    const record = this.#core.agents.find(name)
    if (record === undefined || record.registeredAt !== undefined || record.queue.backlog.holds) return
    for (let held = record.queue.poll(); held !== undefined; held = record.queue.poll()) {
      this.carry(widen(this.#planHost, undefined, [name], undefined), held, undefined, undefined)
    }
  }

  #left(known: Known, why: 'bye' | 'silent' | 'broken'): void {
    const { id, name } = known
    const how = why === 'bye' ? 'has left' : why === 'silent' ? 'is silent' : 'lost its connection'
    const error = new BusError('PROCESS_LOST', `process "${name}" (${id}) ${how} before it was done`, {
      details: { process: id, name, why },
    })
    this.#outgoing.lost(known, error)
    this.#intake.lost(id)
    if (why !== 'broken') this.#core.announce('process.left', { process: id, name, why })
  }

  #disconnected(): void {
    if (!this.#connected) return
    this.#connected = false
    const error = new BusError('BROKER_TIMEOUT', `wire "${this.#wire.name}" was lost before the answer came`, {
      details: { wire: this.#wire.name },
    })
    for (const known of [...this.others.all()]) this.#outgoing.lost(known, error)
  }

  #restored(): void {
    this.#connected = true
    this.#presence.rejoin()
  }

  /** So many random hex digits. */
  #secret(digits: number): string {
    let text = ''
    while (text.length < digits) text += hexOf24(Math.floor(this.#core.env.random() * 0x100_0000))
    return text.slice(0, digits)
  }
}
