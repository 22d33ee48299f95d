import { backoffMs } from '../../kit/backoff.ts'
import type { Env, Timer } from '../../kit/env.ts'
import { type BusError, isBusError } from '../../kit/errors.ts'
import { Watch } from '../watch.ts'
import type { RedisAddress } from './address.ts'
import { type Access, type Connection, openConnection } from './connection.ts'
import { type Place, placeText, unreachable } from './faults.ts'
import type { RedisArg, RedisLine, RedisLink, RedisReply, RedisScript } from './link.ts'
import { runScript } from './scripts.ts'
import { slotOf } from './slot.ts'
import { askTopology, redirection, type Topology } from './topology.ts'

/** So often a command follows a slot that moves, before it is given up. */
const REDIRECTIONS = 5

/** How {@link clusterLink} works. */
export interface ClusterParts {
  readonly env: Env
  readonly address: RedisAddress
  readonly access: Access
  readonly retryMs: number
  readonly longestRetryMs: number
}

/**
 * A link to a cluster: one connection to each master. It counts as lost while one of them is missing; keys of the others are served meanwhile.
 * Only what a node refused because the slot lies elsewhere is sent again, there.
 */
export async function clusterLink(parts: ClusterParts): Promise<RedisLink> {
  const { env, address, access } = parts
  const { shown: url } = address
  const backoff = { firstMs: parts.retryMs, mostMs: parts.longestRetryMs }
  const watch = new Watch()
  const nodes = new Map<string, Connection>()
  const lines = new Set<Connection>()
  let topology: Topology = { slots: [], masters: new Map() }
  let refreshing: Promise<void> | undefined
  let closed = false
  let timer: Timer | undefined
  let down: { readonly sinceMs: number; tries: number } | undefined
  let why = 'it was not asked yet'

  /** The connection to a place, which is opened when there is none. */
  async function nodeAt(place: Place): Promise<Connection> {
    const name = placeText(place)
    const known = nodes.get(name)
    if (known !== undefined) return known
    const made = await openConnection(place, access)
    const other = nodes.get(name)
    if (closed || other !== undefined) made.end('it is not needed')
    if (closed) throw unreachable(url, 'it is closed')
    if (other !== undefined) return other
    nodes.set(name, made)
    made.onLost((reason) => {
      if (nodes.get(name) === made) nodes.delete(name)
      if (!closed && topology.masters.has(name)) lost(`${name}: ${reason}`)
    })
    return made
  }

  function lost(reason: string): void {
    why = reason
    if (down !== undefined) return
    down = { sinceMs: env.monotonicMs(), tries: 0 }
    watch.tell({ type: 'lost', why })
    again(1)
  }

  function again(tries: number): number {
    const waitMs = backoffMs(env, backoff, tries)
    timer = env.after(waitMs, () => void attempt())
    return waitMs
  }

  async function attempt(): Promise<void> {
    if (down === undefined) return
    const tries = ++down.tries
    try {
      await refresh()
      const { sinceMs } = down
      down = undefined
      watch.tell({ type: 'restored', downMs: env.monotonicMs() - sinceMs, tries })
    } catch (error) {
      if (closed) return
      why = (error as BusError).message
      watch.tell({ type: 'retry', tries, why, nextMs: again(tries + 1) })
    }
  }

  /** Learns who serves what, and connects to all masters. Rejects when one of them, or a slot, is missing. */
  function refresh(): Promise<void> {
    refreshing ??= refreshed().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  async function refreshed(): Promise<void> {
    try {
      await learn()
    } catch (error) {
      if (!closed) lost((error as BusError).message)
      throw error
    }
  }

  async function learn(): Promise<void> {
    const places = [...address.places, ...topology.masters.values()]
    try {
      topology = await askTopology([...nodes.values()], places, access)
    } catch (error) {
      const faults = (error as AggregateError).errors as BusError[]
      throw (
        faults.find((fault) => fault.code !== 'BROKER_UNREACHABLE') ?? unreachable(url, faults[0]?.message ?? '', error)
      )
    }
    for (const [name, node] of nodes) if (!topology.masters.has(name)) node.end('it is no master any more')
    await Promise.all([...topology.masters.values()].map(nodeAt))
    const gap = topology.slots.indexOf(undefined)
    if (gap !== -1) throw unreachable(url, `no master serves slot ${gap}`)
  }

  function nodeOf(key: string | undefined): Connection {
    if (closed) throw unreachable(url, 'it is closed')
    const name = key === undefined ? nodes.keys().next().value : topology.slots[slotOf(key)]
    const node = name === undefined ? undefined : nodes.get(name)
    if (node === undefined) throw unreachable(name ?? url, why)
    return node
  }

  async function command(key: string | undefined, args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply> {
    let node = nodeOf(key)
    let asking = false
    for (let tries = 0; ; tries++) {
      try {
        return await (asking ? node.together(['ASKING'], args, timeoutMs) : node.command(args, timeoutMs))
      } catch (error) {
        const target = redirectionOf(error, node.place)
        if (target === undefined) throw error
        if (tries === REDIRECTIONS) throw unreachable(node.place, `the slot of "${key}" moves on and on`, error)
        asking = target.asking
        // A node that left was replaced: all the others may have other slots, too.
        if (!asking) await refresh().catch(() => undefined)
        node = await nodeAt(target.place)
      }
    }
  }

  async function line(key?: string): Promise<RedisLine> {
    const { place } = nodeOf(key)
    const made = await openConnection(place, access)
    if (closed) made.end('it was closed')
    if (closed) throw unreachable(url, 'it is closed')
    lines.add(made)
    made.onLost(() => void lines.delete(made))
    return Object.freeze({
      ...made,
      async command(args: readonly RedisArg[]): Promise<RedisReply> {
        try {
          return await made.command(args)
        } catch (error) {
          if (redirectionOf(error, place) === undefined) throw error
          // Whoever opens the next one finds the new node.
          void refresh().catch(() => undefined)
          made.end('its slot has moved')
          throw unreachable(place, 'the slot of the line has moved', error)
        }
      },
    })
  }

  async function everywhere(args: readonly RedisArg[]): Promise<readonly RedisReply[]> {
    const masters = [...topology.masters.keys()].map((name) => nodes.get(name))
    return Promise.all(
      masters.map((node) => (node === undefined ? Promise.reject(unreachable(url, why)) : node.command(args))),
    )
  }

  function close(): void {
    closed = true
    timer?.cancel()
    for (const connection of [...nodes.values(), ...lines]) connection.end('it was closed')
  }

  try {
    await refresh()
  } catch (error) {
    close()
    throw error
  }
  return Object.freeze({
    kind: 'cluster' as const,
    url,
    watch,
    command,
    line,
    everywhere,
    run: (script: RedisScript, keys: readonly string[], args: readonly RedisArg[], timeoutMs?: number) =>
      runScript((call) => command(keys[0], call, timeoutMs), script, keys, args),
    async [Symbol.asyncDispose]() {
      close()
    },
  })
}

function redirectionOf(error: unknown, asked: Place): { readonly place: Place; readonly asking: boolean } | undefined {
  if (!isBusError(error, 'BROKER_REFUSED') || !(error.cause instanceof Error)) return undefined
  const target = redirection(error.cause.message, asked)
  return target === undefined ? undefined : { place: target.place, asking: error.details.answer === 'ASK' }
}
