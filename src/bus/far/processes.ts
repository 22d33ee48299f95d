import { agentTopic } from '../../message/address.ts'
import { parsePattern } from '../../message/topic.ts'
import { STATUSES } from '../agent-status.ts'
import { TopicTrie } from '../topic-trie.ts'
import type { FarAgent, FarEntry, Interest, Process } from './entry.ts'
import { type Frame, textsOf } from './frames.ts'

/** Most processes that are remembered, and most subscriptions and agents of one of them: whoever writes to the broker cannot fill us. */
const MOST_PROCESSES = 4_096
const MOST_INTERESTS = 200_000

/** What is known of one other process. */
export interface Known {
  readonly id: string
  name: string
  /** Rises when it lost its connection: what was under way to or from it may be lost. */
  epoch: number
  /** The number of its last announcement that we have; below zero before the first whole one. */
  seq: number
  /** Monotonic milliseconds at which it was last heard of. */
  heardMs: number
  readonly since: number
  readonly entries: Map<number, FarEntry>
  readonly agents: Map<string, { readonly info: FarAgent; readonly entry: FarEntry }>
  /** The parts of a whole announcement that is coming in. */
  parts: unknown[][]
}

/** Who is told of what changes. */
export interface ProcessesHost {
  /** A pattern came or went. */
  changed(pattern: readonly string[]): void
  /** An agent is registered elsewhere. */
  agentCame(name: string): void
}

/** What an announcement changed. */
export interface Applied {
  readonly known: Known | undefined
  /** It was not known before. */
  readonly joined: boolean
  /** Its connection was lost meanwhile. */
  readonly broken: boolean
  /** Something is missing: ask it for everything. */
  readonly incomplete: boolean
}

const NOTHING: Applied = Object.freeze({ known: undefined, joined: false, broken: false, incomplete: false })

/** The other processes, and which of them want a topic. */
export class Processes {
  readonly #known = new Map<string, Known>()
  readonly #trie = new TopicTrie<FarEntry>()
  readonly #agents = new Map<string, Set<FarEntry>>()
  readonly #host: ProcessesHost
  readonly #now: () => { readonly ms: number; readonly wallMs: number }
  #order = 0

  constructor(now: () => { readonly ms: number; readonly wallMs: number }, host: ProcessesHost) {
    this.#now = now
    this.#host = host
  }

  get size(): number {
    return this.#known.size
  }

  /** Subscriptions that are known, of all processes. */
  get interests(): number {
    return this.#trie.size
  }

  find(id: string): Known | undefined {
    return this.#known.get(id)
  }

  all(): IterableIterator<Known> {
    return this.#known.values()
  }

  list(): readonly Process[] {
    return [...this.#known.values()].map(({ id, name, since, entries, agents }) =>
      Object.freeze({
        id,
        name,
        knownSince: since,
        agents: Object.freeze([...agents.values()].map(({ info }) => info)),
        subscriptions: entries.size,
      }),
    )
  }

  /** Everything elsewhere whose pattern fits the topic; undefined for nothing. */
  match(topic: readonly string[]): readonly FarEntry[] | undefined {
    if (this.#trie.size === 0) return undefined
    const found = this.#trie.match(topic)
    return found.length === 0 ? undefined : found.sort((a, b) => a.order - b.order)
  }

  /** The process of an agent; of several of its name the one that registered last. */
  inboxOf(name: string): FarEntry | undefined {
    let newest: FarEntry | undefined
    for (const entry of this.#agents.get(name) ?? [])
      if (newest === undefined || entry.order > newest.order) newest = entry
    return newest
  }

  agent(name: string): FarAgent | undefined {
    const entry = this.inboxOf(name)
    return entry === undefined ? undefined : this.#known.get(entry.id)?.agents.get(name)?.info
  }

  /** Every agent once. */
  *agents(): IterableIterator<FarAgent> {
    for (const name of this.#agents.keys()) {
      const found = this.agent(name)
      if (found !== undefined) yield found
    }
  }

  /** Notes that a process lives; false when everything must be asked of it. */
  heard(id: string, epoch: number | undefined, seq: number | undefined): boolean {
    const known = this.#known.get(id)
    if (known === undefined) return false
    known.heardMs = this.#now().ms
    return (epoch === undefined || epoch === known.epoch) && (seq === undefined || seq === known.seq)
  }

  /** Takes in an announcement. */
  apply({ from, fields }: Frame): Applied {
    const before = this.#known.get(from)
    if (before === undefined && this.#known.size >= MOST_PROCESSES) return NOTHING
    const known = before ?? this.#meet(from)
    known.heardMs = this.#now().ms
    known.name = fields.name as string
    const broken = before !== undefined && known.seq >= 0 && fields.epoch !== known.epoch
    known.epoch = fields.epoch as number
    if (broken) known.seq = -1
    const was = known.seq
    const complete = fields.full === true ? this.#whole(known, fields) : this.#changed(known, fields)
    const joined = was < 0 && known.seq >= 0 && !broken
    return { known, joined, broken, incomplete: !complete }
  }

  /** Forgets a process with all it wanted; false when it was not known. */
  forget(id: string): Known | undefined {
    const known = this.#known.get(id)
    if (known === undefined) return undefined
    this.#clear(known)
    this.#known.delete(id)
    return known
  }

  #meet(id: string): Known {
    const { ms, wallMs } = this.#now()
    const known: Known = {
      id,
      name: '',
      epoch: 0,
      seq: -1,
      heardMs: ms,
      since: wallMs,
      entries: new Map(),
      agents: new Map(),
      parts: [],
    }
    this.#known.set(id, known)
    return known
  }

  /** True unless a part is missing. */
  #whole(known: Known, { base, seq, last, add }: Frame['fields']): boolean {
    if (seq === known.seq) return true
    if (base === 0) known.parts = []
    if (known.parts.length !== base) return false
    known.parts.push(add as unknown[])
    if (last !== true) return true
    const parts = known.parts
    known.parts = []
    this.#clear(known)
    for (const part of parts) for (const one of part) this.#add(known, one)
    known.seq = seq as number
    return true
  }

  #changed(known: Known, { base, seq, add, gone }: Frame['fields']): boolean {
    if (known.seq !== base) return false
    for (const one of gone as unknown[]) this.#remove(known, one)
    for (const one of add as unknown[]) this.#add(known, one)
    known.seq = seq as number
    return true
  }

  #add(known: Known, told: unknown): void {
    if (known.entries.size + known.agents.size >= MOST_INTERESTS) return
    const agent = agentFrom(told)
    if (agent !== undefined) {
      // A change of its status does not make it a newer agent.
      const entry = known.agents.get(agent.name)?.entry ?? this.#enter(known.id, inboxInterest(agent.name), agent.name)
      if (entry === undefined) return
      known.agents.set(agent.name, { info: agent, entry })
      const same = this.#agents.get(agent.name)
      if (same === undefined) this.#agents.set(agent.name, new Set([entry]))
      else same.add(entry)
      this.#host.agentCame(agent.name)
      return
    }
    const interest = interestFrom(told)
    if (interest === undefined) return
    this.#remove(known, interest.key)
    const entry = this.#enter(known.id, interest, undefined)
    if (entry !== undefined) known.entries.set(interest.key, entry)
  }

  #enter(id: string, interest: Interest, agent: string | undefined): FarEntry | undefined {
    let tokens: readonly string[]
    try {
      tokens = parsePattern(interest.pattern)
    } catch {
      // Another version may allow what this one does not: nothing of ours can fit it.
      return undefined
    }
    const entry: FarEntry = Object.freeze({ ...interest, id, agent, order: this.#order++ })
    this.#trie.add(tokens, entry)
    this.#host.changed(tokens)
    return entry
  }

  #remove(known: Known, what: unknown): void {
    if (typeof what === 'string') {
      const agent = known.agents.get(what)
      if (agent === undefined) return
      known.agents.delete(what)
      this.#leave(agent.entry)
      const same = this.#agents.get(what)
      same?.delete(agent.entry)
      if (same?.size === 0) this.#agents.delete(what)
      return
    }
    const entry = known.entries.get(what as number)
    if (entry === undefined) return
    known.entries.delete(what as number)
    this.#leave(entry)
  }

  #leave(entry: FarEntry): void {
    const tokens = parsePattern(entry.pattern)
    this.#trie.remove(tokens, entry)
    this.#host.changed(tokens)
  }

  #clear(known: Known): void {
    for (const key of [...known.entries.keys()]) this.#remove(known, key)
    for (const name of [...known.agents.keys()]) this.#remove(known, name)
  }
}

function inboxInterest(name: string): Interest {
  const nobody = { group: undefined, session: undefined, sender: undefined, notFrom: undefined }
  let pattern = ''
  try {
    pattern = agentTopic(name)
  } catch {
    // No name of an agent: refused where the pattern is read.
  }
  return { key: -1, pattern, ...nobody, observer: false, holds: false }
}

/** An interest as it is told. */
export function told(interest: Interest): object {
  const { key: k, pattern: p, group: g, session: s, sender: f, notFrom: n, observer, holds } = interest
  return { k, p, g, s, f, n, ...(observer ? { o: 1 } : {}), ...(holds ? { h: 1 } : {}) }
}

/** An agent as it is told. */
export function toldAgent({ name, type, capabilities, status }: FarAgent): object {
  return { a: name, y: type, c: capabilities, s: status }
}

function interestFrom(value: unknown): Interest | undefined {
  const { k, p, g, s, f, n, o, h } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  if (!Number.isSafeInteger(k) || typeof p !== 'string') return undefined
  const text = (one: unknown): string | undefined => (typeof one === 'string' ? one : undefined)
  return {
    key: k as number,
    pattern: p,
    group: text(g),
    session: text(s),
    sender: text(f),
    notFrom: text(n),
    observer: o === 1,
    holds: h === 1,
  }
}

function agentFrom(value: unknown): FarAgent | undefined {
  const { a, y, c, s } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (typeof a !== 'string' || a === '') return undefined
  return Object.freeze({
    name: a,
    type: typeof y === 'string' ? y : undefined,
    capabilities: Object.freeze([...textsOf(c, 1_000)]),
    status: STATUSES.find((status) => status === s) ?? 'idle',
  })
}
