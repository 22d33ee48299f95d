import type {
  Agent,
  Bus,
  Failure,
  Handler,
  Inbox,
  Message,
  Overflow,
  Priority,
  Session,
  SubscribeOptions,
  Subscription,
} from '../../../src/index.ts'
import type { FakeEnv } from '../../../src/testing/index.ts'

/** What a handler does with a message; the message says it. */
export const ACTS = [
  'ok',
  'throw',
  'reject',
  'turns',
  'slow',
  'overrun',
  'hang',
  'publish',
  'nested',
  'request',
] as const
export type Act = (typeof ACTS)[number]

export interface Room {
  readonly limit?: number
  readonly overflow: Overflow
  readonly waitMs: number
}

export interface Sent {
  readonly act: Act
  readonly session?: string
  readonly priority: Priority
  readonly ttlMs?: number
  readonly until?: 'accepted' | 'handled' | 'succeeded'
}

export type Step =
  | ({ readonly type: 'subscribe'; readonly root: Root; readonly wild: boolean; readonly concurrency?: number } & Room &
      Where)
  | ({ readonly type: 'inbox'; readonly root: Root } & Room)
  | ({
      readonly type: 'register'
      readonly name: AgentName
      readonly handles: boolean
      readonly replace: boolean
    } & Room)
  | { readonly type: 'declare'; readonly name: AgentName }
  | ({ readonly type: 'publish'; readonly root: Root } & Sent)
  | ({ readonly type: 'send'; readonly names: readonly AgentName[] } & Sent)
  | ({ readonly type: 'broadcast' } & Sent)
  | ({ readonly type: 'request'; readonly root: Root; readonly timeoutMs: number } & Sent)
  | ({ readonly type: 'scope'; readonly root: Root; readonly session: string } & Room)
  | {
      readonly type: 'receive' | 'unsubscribe' | 'drain' | 'unregister' | 'clear' | 'end-scope'
      readonly which: number
    }
  | { readonly type: 'advance' | 'stop'; readonly ms: number }
  | { readonly type: 'start' | 'idle' | 'reset' }

export type Root = 'a' | 'b'
export type AgentName = 'p' | 'q' | 'r'

interface Where {
  readonly group?: string
  readonly rank?: number
  readonly session?: string
}

interface Taken {
  readonly key: string
  readonly root: string
  state: 'running' | 'ok' | 'failed'
}

interface Waiting {
  /** Waiting and running. */
  readonly count: () => number
  /** The channel of everything in it; `agents` for an agent's inbox. */
  readonly root: string
}

const rootOf = (topic: string): string => topic.split('.')[0] as string

/** Runs random programs on a bus and counts for itself what becomes of each delivery. */
export class LedgerModel {
  readonly bus: Bus
  readonly env: FakeEnv
  readonly #taken: Taken[] = []
  readonly #failures: Failure[] = []
  readonly #queues: Waiting[] = []
  readonly #subscriptions: Subscription[] = []
  readonly #inboxes: Inbox[] = []
  readonly #scopes: Session[] = []
  readonly #agents = new Map<AgentName, Agent>()
  readonly #groups = new Map<string, Subscription[]>()
  /** Calls whose promise has not settled. */
  open = 0
  #made = 0

  constructor(make: (onFailure: (failure: Failure) => void) => Bus, env: FakeEnv) {
    this.bus = make((failure) => this.#failures.push(failure))
    this.env = env
    // An agent that is only declared; once it registers its handle tells.
    for (const name of ['p', 'q', 'r']) {
      this.#queues.push({ count: () => (this.bus.agent(name)?.held ? this.bus.queueSize(name) : 0), root: 'agents' })
    }
  }

  run(step: Step): void {
    const { bus } = this
    switch (step.type) {
      case 'subscribe':
        this.#subscribe(step)
        return
      case 'inbox': {
        const name = `inbox-${this.#made++}`
        const inbox = bus.inbox(`${step.root}.x`, { name, ...room(step) })
        this.#inboxes.push(inbox)
        this.#queues.push({ count: () => inbox.size, root: step.root })
        return
      }
      case 'scope': {
        const scope = bus.session(step.session)
        const name = `scope-${this.#made++}`
        const made = scope.subscribe(`${step.root}.*`, this.#handler(), { name, ...room(step) })
        const inbox = scope.inbox(`${step.root}.x`, { name: `${name}-inbox`, ...room(step) })
        this.#scopes.push(scope)
        this.#inboxes.push(inbox)
        this.#queues.push({ count: () => made.stats().waiting + made.stats().running, root: step.root })
        this.#queues.push({ count: () => inbox.size, root: step.root })
        return
      }
      case 'end-scope':
        this.#call(pick(this.#scopes, step.which)?.close() ?? Promise.resolve())
        return
      case 'register':
        this.#register(step)
        return
      case 'declare':
        bus.declare(step.name)
        return
      case 'publish':
        this.#call(bus.publish(`${step.root}.x`, { act: step.act }, sent(step)))
        return
      case 'send':
        this.#call(bus.send(step.names, { act: step.act }, sent(step)))
        return
      case 'broadcast':
        this.#call(bus.broadcast({ act: step.act }, sent(step)))
        return
      case 'request': {
        const { until: _, ...options } = sent(step)
        this.#call(bus.request(`${step.root}.x`, { act: step.act }, { ...options, timeoutMs: step.timeoutMs }))
        return
      }
      case 'receive': {
        const inbox = pick(this.#inboxes, step.which)
        if (inbox === undefined) return
        const timeoutMs = step.which % 3 === 0 ? 0 : 20
        this.#call(inbox.receive({ timeoutMs }).then((message) => this.#took(inbox.name, message)))
        return
      }
      case 'unsubscribe':
        pick(this.#subscriptions, step.which)?.unsubscribe()
        return
      case 'drain':
        this.#call(pick(this.#subscriptions, step.which)?.drain() ?? Promise.resolve())
        return
      case 'unregister':
        pick([...this.#agents.values()], step.which)?.unregister()
        return
      case 'clear':
        if (step.which % 2 === 0) pick([...this.#agents.values()], step.which)?.clear()
        else pick(this.#inboxes, step.which)?.clear()
        return
      case 'advance':
        this.#call(this.env.advance(step.ms))
        return
      case 'stop':
        this.#call(bus.stop({ limitMs: step.ms }))
        return
      case 'start':
        bus.start()
        return
      case 'idle':
        this.#call(bus.idle())
        return
      case 'reset':
        bus.reset()
        return
      default:
        step satisfies never
    }
  }

  /** What is wrong with the balance now; empty when nothing is. */
  faults(): string[] {
    const faults: string[] = []
    const { ledger, channels, queued } = this.bus.stats()
    const same = (what: string, found: number, expected: number): void => {
      if (found !== expected) faults.push(`${what} is ${found}, counted ${expected}`)
    }
    const failed = new Set(this.#failures.map(keyOf))
    const handled = this.#taken.filter(({ state, key }) => state === 'ok' && !failed.has(key))
    const waiting = (root?: string): number =>
      this.#queues.filter((one) => root === undefined || one.root === root).reduce((sum, { count }) => sum + count(), 0)
    const tally = (outcome: Failure['outcome'], root?: string): number =>
      this.#failures.filter(
        (one) => one.outcome === outcome && (root === undefined || rootOf(one.message.topic) === root),
      ).length
    same('handled', ledger.handled, handled.length)
    same('pending', ledger.pending, waiting())
    for (const outcome of ['failed', 'expired', 'dropped'] as const) same(outcome, ledger[outcome], tally(outcome))
    same(
      'published',
      ledger.published,
      handled.length + waiting() + tally('failed') + tally('expired') + tally('dropped'),
    )
    if (queued > ledger.pending) faults.push(`${queued} are queued, but only ${ledger.pending} are pending`)
    for (const root of ['a', 'b', 'agent', 'agents']) {
      const own = channels[root]?.ledger
      if (own === undefined) continue
      same(`${root}: handled`, own.handled, handled.filter((one) => one.root === root).length)
      for (const outcome of ['failed', 'expired', 'dropped'] as const)
        same(`${root}: ${outcome}`, own[outcome], tally(outcome, root))
    }
    for (const root of ['a', 'b']) same(`${root}: pending`, channels[root]?.ledger.pending ?? 0, waiting(root))
    const inAgents = (channels.agent?.ledger.pending ?? 0) + (channels.agents?.ledger.pending ?? 0)
    same('pending at agents', inAgents, waiting('agents'))
    return faults
  }

  /** Deliveries that have not exactly one outcome, after everything has ended. */
  outcomeFaults(): string[] {
    const outcomes = new Map<string, string[]>()
    const add = (key: string, what: string): void => void outcomes.set(key, [...(outcomes.get(key) ?? []), what])
    const failed = new Set(this.#failures.map(keyOf))
    for (const { key, state } of this.#taken) if (state === 'ok' && !failed.has(key)) add(key, 'handled')
    for (const failure of this.#failures) add(keyOf(failure), `${failure.outcome} (${failure.reason})`)
    const seen = this.#taken.map(({ key }) => key)
    const faults = [...outcomes]
      .filter(([, list]) => list.length !== 1)
      .map(([key, list]) => `${key} ended as ${list.join(', ')}`)
    for (const key of new Set(seen)) {
      if (!outcomes.has(key)) faults.push(`${key} was begun and never ended`)
      if (seen.filter((one) => one === key).length > 1) faults.push(`${key} was handled twice`)
    }
    const { published } = this.bus.stats().ledger
    if (published !== outcomes.size) faults.push(`${published} were published, ${outcomes.size} came out`)
    return faults
  }

  #subscribe(step: Extract<Step, { type: 'subscribe' }>): void {
    const { group, rank, session, concurrency, root, wild } = step
    const name = group === undefined ? `sub-${this.#made++}` : `${group}-${root}`
    const options: SubscribeOptions = {
      name,
      ...room(step),
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(session === undefined ? {} : { session }),
      // Members of a group go together only with the same conditions.
      ...(group === undefined ? (rank === undefined ? {} : { rank }) : { group: name }),
    }
    const key = `${name}/${session}`
    const made = this.bus.subscribe(group === undefined && wild ? `${root}.*` : `${root}.x`, this.#handler(), options)
    this.#subscriptions.push(made)
    const members = this.#groups.get(key)
    const shared = group !== undefined && members?.some((one) => one.active) === true
    if (group !== undefined) this.#groups.set(key, [...(members ?? []), made])
    if (!shared) this.#queues.push({ count: () => made.stats().waiting + made.stats().running, root })
  }

  #register(step: Extract<Step, { type: 'register' }>): void {
    const { name, handles, replace } = step
    const before = this.bus.agent(name)
    const handler = handles ? { handler: this.#handler() } : {}
    if (before !== undefined && !before.held && !replace) return
    const agent = this.bus.register(name, { ...room(step), ...handler, replace })
    this.#agents.set(name, agent)
    // One that was declared or is replaced keeps its queue.
    if (before?.registeredAt === undefined)
      this.#queues.push({ count: () => agent.info.queued + agent.info.running, root: 'agents' })
  }

  #handler(): Handler {
    return (message, context) => {
      const run: Taken = { key: `${context.name} ${message.id}`, root: rootOf(message.topic), state: 'running' }
      this.#taken.push(run)
      const end = (state: 'ok' | 'failed'): void => {
        run.state = state
      }
      const fail = (): never => {
        end('failed')
        throw new Error('asked for')
      }
      switch ((message.data as { readonly act: Act }).act) {
        case 'ok':
          end('ok')
          return 'answer'
        case 'throw':
          return fail()
        case 'reject':
          return this.#turns(2).then(fail)
        case 'turns':
          return this.#turns(5).then(() => end('ok'))
        case 'slow':
          return this.#sleep(30).then(() => end('ok'))
        case 'overrun':
          return this.#sleep(80).then(() => end('ok'))
        case 'hang':
          return new Promise(() => undefined)
        case 'publish':
          return context.bus.publish('b.x', { act: 'turns' }).then(() => end('ok'), fail)
        case 'nested':
          // Awaits what its own queue may have to handle.
          return context.bus.publish('a.x', { act: 'ok' }, { until: 'handled' }).then(() => end('ok'), fail)
        case 'request':
          return context.bus.request('a.x', { act: 'slow' }, { timeoutMs: 20 }).then(
            () => end('ok'),
            () => end('ok'),
          )
        default:
          return fail()
      }
    }
  }

  async #turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await Promise.resolve()
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.env.after(ms, resolve))
  }

  #took(name: string, message: Message): void {
    this.#taken.push({ key: `${name} ${message.id}`, root: rootOf(message.topic), state: 'ok' })
  }

  #call(promise: Promise<unknown>): void {
    this.open++
    const settled = (): void => {
      this.open--
    }
    void promise.then(settled, settled)
  }
}

function keyOf({ name, message }: Failure): string {
  return `${name} ${message.id}`
}

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list.length === 0 ? undefined : list[which % list.length]
}

function room({ limit, overflow, waitMs }: Room) {
  return { overflow, waitMs, ...(limit === undefined ? {} : { limit }) }
}

function sent({ session, priority, ttlMs, until }: Sent) {
  return {
    priority,
    ...(session === undefined ? {} : { session }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(until === undefined ? {} : { until }),
  }
}
