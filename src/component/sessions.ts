import { aFunction, anObject, aText, checkOption, checkOptions, milliseconds, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv, type Timer, unguessable } from '../kit/env.ts'

/** A session as its manager knows it. */
export interface SessionInfo {
  readonly id: string
  /** Wall-clock milliseconds. */
  readonly openedAt: number
  readonly usedAt: number
  readonly messages: number
  /** The components that handled something of it, in the order in which they first did. */
  readonly chain: readonly string[]
}

/** How sessions are managed. */
export interface SessionsOptions {
  readonly env?: Env
  /** Milliseconds without use after which a session ends. Default 1 800 000. */
  readonly timeoutMs?: number
  /** Milliseconds between two looks for them. Default 60 000. */
  readonly sweepMs?: number
  /** Most sessions; the one that was unused for longest makes room. Default 10 000. */
  readonly limit?: number
  /** Told of each session that ends: free there what is kept for it. */
  readonly onEnd?: (session: SessionInfo, reason: 'closed' | 'timeout' | 'room') => void
}

/** The sessions of a swarm, and which instance of a component each of them belongs to. */
export interface Sessions extends Disposable {
  /** Opens a session, or uses it again. Without an id it gets one that cannot be guessed. */
  open(id?: string): SessionInfo
  /** Notes that a component handles something of the session; opens it if need be. */
  touch(id: string, component?: string): void
  get(id: string): SessionInfo | undefined
  list(): readonly SessionInfo[]
  /** False for an unknown one. */
  close(id: string): boolean
  /**
   * The instance that serves the session: with affinity the same one as before, as long as it is there, else the one with the fewest
   * sessions; without, each in turn. Undefined when there are none.
   */
  assign(session: string | undefined, pool: string, instances: readonly string[], affinity: boolean): string | undefined
}

const MOST_CHAIN = 100

const RULES: Readonly<Record<string, Rule>> = {
  env: anObject,
  timeoutMs: milliseconds(1),
  sweepMs: milliseconds(1),
  limit: whole(1),
  onEnd: aFunction,
}

interface Held {
  readonly id: string
  readonly openedAt: number
  usedAt: number
  usedMs: number
  messages: number
  readonly chain: string[]
  /** By pool. */
  readonly instances: Map<string, string>
}

/** Makes a manager of sessions. Throws INVALID_OPTION. */
export function createSessions(options: SessionsOptions = {}): Sessions {
  checkOptions('createSessions', options, RULES)
  const { env = systemEnv(), timeoutMs = 1_800_000, sweepMs = 60_000, limit = 10_000, onEnd } = options
  /** The one that was used last is at the end. */
  const all = new Map<string, Held>()
  const turns = new Map<string, number>()
  let timer: Timer | undefined

  const end = (held: Held, reason: 'closed' | 'timeout' | 'room'): void => {
    all.delete(held.id)
    onEnd?.(infoOf(held), reason)
  }
  const isOver = (held: Held): boolean => env.monotonicMs() - held.usedMs >= timeoutMs
  const sweep = (): void => {
    for (const held of [...all.values()]) if (isOver(held)) end(held, 'timeout')
    timer = all.size === 0 ? undefined : env.after(sweepMs, sweep)
  }
  const use = (id: string): Held => {
    const before = all.get(id)
    if (before !== undefined && isOver(before)) end(before, 'timeout')
    const nowAt = env.wallMs()
    const held = all.get(id) ?? {
      id,
      openedAt: nowAt,
      usedAt: nowAt,
      usedMs: 0,
      messages: 0,
      chain: [],
      instances: new Map<string, string>(),
    }
    held.usedAt = nowAt
    held.usedMs = env.monotonicMs()
    all.delete(id)
    all.set(id, held)
    if (all.size > limit) end(all.values().next().value as Held, 'room')
    timer ??= env.after(sweepMs, sweep)
    return held
  }
  const find = (id: string): Held | undefined => {
    const held = all.get(id)
    return held === undefined || isOver(held) ? undefined : held
  }
  const inTurn = (pool: string, instances: readonly string[]): string | undefined => {
    const turn = turns.get(pool) ?? 0
    turns.set(pool, turn + 1)
    return instances[turn % instances.length]
  }
  const leastUsed = (pool: string, instances: readonly string[]): string | undefined => {
    const counts = new Map(instances.map((name) => [name, 0]))
    for (const { instances: own } of all.values()) {
      const name = own.get(pool)
      const count = name === undefined ? undefined : counts.get(name)
      if (name !== undefined && count !== undefined) counts.set(name, count + 1)
    }
    const least = Math.min(...counts.values())
    return instances.find((name) => counts.get(name) === least)
  }

  return Object.freeze({
    open(id = `session-${unguessable()}`) {
      checkOption('open', 'id', id, aText)
      return infoOf(use(id))
    },
    touch(id, component) {
      const held = use(id)
      held.messages++
      if (component === undefined || held.chain.includes(component) || held.chain.length >= MOST_CHAIN) return
      held.chain.push(component)
    },
    get(id) {
      const held = find(id)
      return held === undefined ? undefined : infoOf(held)
    },
    list: () => [...all.values()].filter((held) => !isOver(held)).map(infoOf),
    close(id) {
      const held = all.get(id)
      if (held !== undefined) end(held, 'closed')
      return held !== undefined
    },
    assign(session, pool, instances, affinity) {
      if (instances.length === 0) return undefined
      if (!affinity || session === undefined) return inTurn(pool, instances)
      const held = use(session)
      const before = held.instances.get(pool)
      if (before !== undefined && instances.includes(before)) return before
      const chosen = leastUsed(pool, instances)
      if (chosen !== undefined) held.instances.set(pool, chosen)
      return chosen
    },
    [Symbol.dispose]() {
      timer?.cancel()
      for (const held of [...all.values()]) end(held, 'closed')
      timer?.cancel()
    },
  } satisfies Sessions)
}

function infoOf({ id, openedAt, usedAt, messages, chain }: Held): SessionInfo {
  return { id, openedAt, usedAt, messages, chain: [...chain] }
}
