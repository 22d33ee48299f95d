import { BusError } from '../kit/errors.ts'
import type { AgentStatus } from './agent-status.ts'
import type { KeptBinding } from './kept.ts'
import type { Queue } from './queue.ts'
import { type HandledByLevel, handledBy, lastHandled } from './queue-figures.ts'
import type { Entry, Route } from './router.ts'

/** An agent as the directory shows it. */
export interface AgentInfo {
  readonly name: string
  readonly type: string | undefined
  readonly capabilities: readonly string[]
  readonly status: AgentStatus
  /** Declared only: its messages are held until it registers. */
  readonly held: boolean
  readonly queued: number
  readonly running: number
  /** Wall-clock milliseconds; undefined while it is only declared. */
  readonly registeredAt: number | undefined
  /** Handled messages by level. */
  readonly handled: HandledByLevel
  /** Wall-clock milliseconds of the last one. */
  readonly lastHandled: number | undefined
}

/** What the directory does with an agent's handle. */
export interface LiveHandle {
  /** Puts the bus's present middleware around its handler. */
  rewrap(): void
  /** Takes its handler, receivers and subscriptions away; its queue stays for whoever comes next under the name. */
  retire(error: BusError): void
  unregister(): boolean
}

/** An agent inside the bus. */
export interface AgentRecord {
  readonly name: string
  /** The topic of its inbox. */
  readonly topic: string
  /** The route of its topic, and the version of the router for which it holds. */
  route: Route | undefined
  routeVersion: number
  readonly queue: Queue
  readonly entry: Entry
  type: string | undefined
  capabilities: readonly string[]
  status: AgentStatus
  registeredAt: number | undefined
  /** The handle it was registered with; undefined while it is only declared. */
  live: LiveHandle | undefined
  /** Rises with each registration of the name: an old handle is told apart from the new one. */
  generation: number
}

const MOST_NAMES = 20

/** The agents of one bus by name. */
export class Agents {
  readonly #records = new Map<string, AgentRecord>()
  /** What serves the inboxes of registered agents from a log, by name. */
  readonly kept = new Map<string, KeptBinding>()

  get size(): number {
    return this.#records.size
  }

  /** How many are registered, not only declared. */
  get registered(): number {
    let count = 0
    for (const record of this.#records.values()) if (record.registeredAt !== undefined) count++
    return count
  }

  find(name: string): AgentRecord | undefined {
    return this.#records.get(name)
  }

  /** The record of an agent. Throws UNKNOWN_AGENT with the wanted name and known ones. */
  get(name: string): AgentRecord {
    const record = this.#records.get(name)
    if (record !== undefined) return record
    const known = [...this.#records.keys()]
    const list = known.length === 0 ? 'none is registered' : `known: ${known.slice(0, MOST_NAMES).join(', ')}`
    const more = known.length > MOST_NAMES ? ` and ${known.length - MOST_NAMES} more` : ''
    throw new BusError('UNKNOWN_AGENT', `there is no agent "${name}" (${list}${more})`, {
      details: { wanted: name, known: known.slice(0, MOST_NAMES), count: known.length },
    })
  }

  set(record: AgentRecord): void {
    this.#records.set(record.name, record)
  }

  delete(name: string): void {
    this.#records.delete(name)
  }

  all(): IterableIterator<AgentRecord> {
    return this.#records.values()
  }

  /** As `choose`, by name, among the agents of other processes too: an equally idle one of this process comes first. */
  chooseOf(capability: string, elsewhere: Iterable<Elsewhere>): string {
    let best: Elsewhere | undefined
    for (const one of elsewhere) {
      if (one.status === 'offline' || !one.capabilities.includes(capability)) continue
      if (best === undefined || RANK[one.status] < RANK[best.status]) best = one
    }
    if (best === undefined) return this.choose(capability).name
    const here = [...this.#records.values()].some((one) => isAble(one, capability))
      ? this.choose(capability)
      : undefined
    return here !== undefined && RANK[here.status] <= RANK[best.status] ? here.name : best.name
  }

  /** The one to ask for a capability: idle before others, then the one with the least to do. Throws UNKNOWN_AGENT. */
  choose(capability: string): AgentRecord {
    let best: AgentRecord | undefined
    for (const record of this.#records.values()) {
      if (!isAble(record, capability)) continue
      if (best === undefined || better(record, best)) best = record
    }
    if (best !== undefined) return best
    const known = [...new Set([...this.#records.values()].flatMap((record) => record.capabilities))]
    throw new BusError('UNKNOWN_AGENT', `no agent has the capability "${capability}"`, {
      details: { wanted: capability, known: known.slice(0, MOST_NAMES) },
    })
  }
}

/** What another process tells of its agents. */
interface Elsewhere {
  readonly name: string
  readonly capabilities: readonly string[]
  readonly status: AgentStatus
}

const RANK: Readonly<Record<AgentStatus, number>> = { idle: 0, busy: 1, initializing: 2, error: 3, offline: 4 }

function isAble({ registeredAt, status, capabilities }: AgentRecord, capability: string): boolean {
  return registeredAt !== undefined && status !== 'offline' && capabilities.includes(capability)
}

function load(record: AgentRecord): number {
  return record.queue.size + record.queue.running
}

function better(a: AgentRecord, b: AgentRecord): boolean {
  const byStatus = RANK[a.status] - RANK[b.status]
  return byStatus !== 0 ? byStatus < 0 : load(a) < load(b)
}

export function agentInfo(record: AgentRecord): AgentInfo {
  const { name, type, capabilities, status, registeredAt, queue } = record
  const held = registeredAt === undefined
  const [handled, last] = [handledBy(queue), lastHandled(queue)]
  return {
    name,
    type,
    capabilities,
    status,
    held,
    queued: queue.size,
    running: queue.running,
    registeredAt,
    handled,
    lastHandled: last,
  }
}
