import type { Bus } from '../bus/bus.ts'
import {
  aFunction,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  texts,
  whole,
} from '../kit/check.ts'
import { type Env, systemEnv, type Timer, unguessable } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { COMPONENT_STATES, type ComponentState } from './member.ts'

/** What a component says of itself to all processes of a swarm. */
export interface ComponentEntry {
  /** Unique among all processes. */
  readonly id: string
  readonly name: string
  readonly type: string
  readonly state: ComponentState
  readonly capabilities: readonly string[]
  /** Events that it takes, and that it makes. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Where it is reached from outside; undefined when only by the bus. */
  readonly endpoint: string | undefined
  /** The sessions that it holds; none: it takes any. */
  readonly sessions: readonly string[]
  /** Messages in hand. */
  readonly load: number
  readonly maxConcurrent: number
  /** Wall-clock milliseconds, of this process, at which it was last heard of. */
  readonly seenAt: number
}

/** What is said when a component is entered; only name and type must be. */
export interface EntryOptions {
  readonly id?: string
  readonly name: string
  readonly type: string
  /** Default `initializing`. */
  readonly state?: ComponentState
  readonly capabilities?: readonly string[]
  readonly inputs?: readonly string[]
  readonly outputs?: readonly string[]
  readonly endpoint?: string
  readonly sessions?: readonly string[]
  /** Default 10. */
  readonly maxConcurrent?: number
  /** Messages in hand: asked at each sign of life, and whenever somebody of this process looks. Default: as it was updated, 0 at first. */
  readonly load?: () => number
}

/** What may change of an entry. */
export interface EntryChange {
  readonly state?: ComponentState
  readonly load?: number
  readonly sessions?: readonly string[]
  readonly endpoint?: string
}

/** A component of this process in the registry. */
export interface Registration {
  readonly id: string
  /** Tells everybody at once. */
  update(change: EntryChange): void
  /** Tells everybody that it has ended. */
  end(): void
}

/** Which components; all that is given must fit. */
export interface ComponentQuery {
  readonly type?: string
  readonly capability?: string
  /** Components that hold the session; those that take any come behind them. */
  readonly session?: string
  /** Takes the event. */
  readonly input?: string
  readonly state?: ComponentState
}

/** How a registry is made. */
export interface RegistryOptions {
  readonly bus: Bus
  readonly env?: Env
  /** Milliseconds between two signs of life. Default 30 000. */
  readonly heartbeatMs?: number
  /** Milliseconds without one after which a component counts as failed. Default 90 000. */
  readonly lostMs?: number
  /** Milliseconds without one after which it is forgotten. Default 120 000. */
  readonly lifetimeMs?: number
  /** Milliseconds between two looks for forgotten ones. Default 60 000. */
  readonly sweepMs?: number
  /** Told of every component that comes, changes or goes. */
  readonly onChange?: (entry: ComponentEntry, change: 'entered' | 'changed' | 'lost' | 'gone') => void
}

/** The components of all processes on a bus, as this one knows them. */
export interface ComponentRegistry extends Disposable {
  /** Enters a component of this process. Throws INVALID_OPTION; AGENT_EXISTS for an id that is there. */
  register(entry: EntryOptions): Registration
  get(id: string): ComponentEntry | undefined
  /** Those that live, least loaded first. */
  find(query?: ComponentQuery): readonly ComponentEntry[]
  /** All that are known, failed ones included. */
  list(): readonly ComponentEntry[]
}

const TOPIC = 'heartbeat.components'
const MOST_ENTRIES = 10_000

const RULES: Readonly<Record<string, Rule>> = {
  bus: anObject,
  env: anObject,
  heartbeatMs: milliseconds(1),
  lostMs: milliseconds(1),
  lifetimeMs: milliseconds(1),
  sweepMs: milliseconds(1),
  onChange: aFunction,
}
const ENTRY_RULES: Readonly<Record<string, Rule>> = {
  id: aText,
  name: aText,
  type: aText,
  state: oneOf(COMPONENT_STATES),
  capabilities: texts,
  inputs: texts,
  outputs: texts,
  endpoint: aText,
  sessions: texts,
  maxConcurrent: whole(1),
  load: aFunction,
}
const CHANGE_RULES: Readonly<Record<string, Rule>> = {
  state: oneOf(COMPONENT_STATES),
  load: whole(0),
  sessions: texts,
  endpoint: aText,
}

interface Known {
  entry: ComponentEntry
  readonly isOwn: boolean
  /** Of one of this process that knows its load. */
  readonly load: (() => number) | undefined
  /** Monotonic milliseconds. */
  seenMs: number
  isLost: boolean
}

/** Makes a registry on a bus. What it says travels live: a log is not filled by it. */
export function componentRegistry(options: RegistryOptions): ComponentRegistry {
  checkOptions('componentRegistry', options, RULES)
  return new Registry(options)
}

class Registry implements ComponentRegistry {
  readonly #bus: Bus
  readonly #env: Env
  readonly #options: RegistryOptions
  readonly #known = new Map<string, Known>()
  readonly #me: string
  readonly #stop: () => void
  #count = 0
  #beat: Timer | undefined
  #sweep: Timer | undefined
  #isClosed = false

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#bus = options.bus
    this.#env = options.env ?? systemEnv()
    this.#me = unguessable().slice(0, 12)
    const subscription = this.#bus.subscribe(TOPIC, ({ data }) => this.#hear(data), { name: 'component registry' })
    this.#stop = () => subscription.unsubscribe()
    this.#say({ type: 'ask', by: this.#me })
    this.#beatLater()
    this.#sweepLater()
  }

  register(given: EntryOptions): Registration {
    checkOptions('register', given, ENTRY_RULES)
    checkOption('register', 'name', given.name, aText)
    checkOption('register', 'type', given.type, aText)
    const id = given.id ?? `${given.name}-${this.#me}-${this.#count++}`
    if (this.#known.has(id)) {
      throw new BusError('AGENT_EXISTS', `a component with the id "${id}" is there already`, { details: { name: id } })
    }
    const { name, type, state = 'initializing', endpoint, maxConcurrent = 10 } = given
    const { capabilities = [], inputs = [], outputs = [], sessions = [] } = given
    const seenAt = this.#env.wallMs()
    const lists = { capabilities, inputs, outputs, sessions }
    this.#put(
      Object.freeze({ id, name, type, state, endpoint, ...lists, load: 0, maxConcurrent, seenAt }),
      true,
      given.load,
    )
    this.#tell(id)
    return Object.freeze({
      id,
      update: (change: EntryChange) => {
        checkOptions('update', change, CHANGE_RULES)
        const known = this.#known.get(id)
        if (known === undefined || this.#isClosed) return
        this.#put({ ...known.entry, ...change, seenAt: this.#env.wallMs() }, true, known.load)
        this.#tell(id)
      },
      end: () => this.#end(id),
    })
  }

  get(id: string): ComponentEntry | undefined {
    const known = this.#known.get(id)
    return known === undefined || this.#isForgotten(known) ? undefined : this.#view(known)
  }

  find({ type, capability, session, input, state }: ComponentQuery = {}): readonly ComponentEntry[] {
    const holds = (one: ComponentEntry): number => (session !== undefined && one.sessions.includes(session) ? 0 : 1)
    return this.list()
      .filter((one) =>
        state === undefined ? one.state !== 'failed' && one.state !== 'terminated' : one.state === state,
      )
      .filter((one) => type === undefined || one.type === type)
      .filter((one) => capability === undefined || one.capabilities.includes(capability))
      .filter((one) => input === undefined || one.inputs.includes(input))
      .filter((one) => session === undefined || one.sessions.length === 0 || one.sessions.includes(session))
      .toSorted((a, b) => holds(a) - holds(b) || a.load / a.maxConcurrent - b.load / b.maxConcurrent)
  }

  list(): readonly ComponentEntry[] {
    return [...this.#known.values()].filter((one) => !this.#isForgotten(one)).map((one) => this.#view(one))
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    for (const [id, { isOwn }] of [...this.#known]) if (isOwn) this.#end(id)
    this.#isClosed = true
    this.#beat?.cancel()
    this.#sweep?.cancel()
    this.#stop()
  }

  #end(id: string): void {
    const known = this.#known.get(id)
    if (known === undefined || this.#isClosed) return
    known.entry = { ...known.entry, state: 'terminated' }
    this.#tell(id)
    this.#forget(id, known)
  }

  #put(entry: ComponentEntry, isOwn: boolean, load?: () => number): void {
    const before = this.#known.get(entry.id)
    if (before === undefined && this.#known.size >= MOST_ENTRIES) return
    const isLost = false
    this.#known.set(entry.id, { entry: Object.freeze(entry), isOwn, load, seenMs: this.#env.monotonicMs(), isLost })
    if (before === undefined) this.#options.onChange?.(entry, 'entered')
    else if (!isSame(before.entry, entry)) this.#options.onChange?.(entry, 'changed')
  }

  #forget(id: string, known: Known): void {
    this.#known.delete(id)
    this.#options.onChange?.(known.entry, 'gone')
  }

  /** One that is silent for long counts as failed, whatever it said last. */
  #view({ entry, isOwn, load, seenMs }: Known): ComponentEntry {
    if (isOwn) return load === undefined ? entry : { ...entry, load: load() }
    const silentMs = this.#env.monotonicMs() - seenMs
    return silentMs >= (this.#options.lostMs ?? 90_000) ? { ...entry, state: 'failed' } : entry
  }

  #isForgotten({ isOwn, seenMs }: Known): boolean {
    return !isOwn && this.#env.monotonicMs() - seenMs >= (this.#options.lifetimeMs ?? 120_000)
  }

  #tell(id: string): void {
    const known = this.#known.get(id)
    if (known !== undefined) this.#say({ type: 'entry', by: this.#me, entry: this.#view(known) })
  }

  #say(said: object): void {
    // Nobody needs to hear it: what is not heard now is said again.
    this.#bus.publish(TOPIC, said).catch(() => undefined)
  }

  #hear(data: unknown): void {
    const said = data as { readonly type?: unknown; readonly by?: unknown; readonly entry?: unknown } | null
    if (this.#isClosed || typeof said !== 'object' || said === null || said.by === this.#me) return
    if (said.type === 'ask') for (const [id, { isOwn }] of this.#known) if (isOwn) this.#tell(id)
    if (said.type !== 'entry' || !isEntry(said.entry)) return
    const { id, state } = said.entry
    const known = this.#known.get(id)
    if (known?.isOwn === true) return
    if (state === 'terminated') {
      if (known !== undefined) this.#forget(id, { ...known, entry: said.entry })
    } else this.#put({ ...said.entry, seenAt: this.#env.wallMs() }, false)
  }

  #beatLater(): void {
    this.#beat = this.#env.after(this.#options.heartbeatMs ?? 30_000, () => {
      for (const [id, { isOwn }] of this.#known) if (isOwn) this.#tell(id)
      this.#beatLater()
    })
  }

  #sweepLater(): void {
    this.#sweep = this.#env.after(this.#options.sweepMs ?? 60_000, () => {
      for (const [id, known] of [...this.#known]) {
        if (this.#isForgotten(known)) this.#forget(id, known)
        else if (!known.isLost && this.#view(known).state === 'failed' && known.entry.state !== 'failed') {
          known.isLost = true
          this.#options.onChange?.(this.#view(known), 'lost')
        }
      }
      this.#sweepLater()
    })
  }
}

function isSame(a: ComponentEntry, b: ComponentEntry): boolean {
  return JSON.stringify({ ...a, seenAt: 0 }) === JSON.stringify({ ...b, seenAt: 0 })
}

/** What other processes say is checked field by field. */
function isEntry(value: unknown): value is ComponentEntry {
  if (typeof value !== 'object' || value === null) return false
  const { id, name, type, state, capabilities, inputs, outputs, endpoint, sessions, load, maxConcurrent } =
    value as Partial<ComponentEntry>
  return (
    [id, name, type].every(aText.ok) &&
    COMPONENT_STATES.includes(state as ComponentState) &&
    [capabilities, inputs, outputs, sessions].every(texts.ok) &&
    (endpoint === undefined || typeof endpoint === 'string') &&
    whole(0).ok(load) &&
    whole(1).ok(maxConcurrent)
  )
}
