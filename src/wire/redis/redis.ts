import type { RedisLink } from '../../broker/redis/link.ts'
import { aRedisLink, aRedisPrefix } from '../../broker/redis/names.ts'
import { type LinkEvent, Watch } from '../../broker/watch.ts'
import { aFlag, aFunction, anObject, checkOption, checkOptions, shown, whole } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import { isWildcard, matchesTokens, parsePattern, parseTopic } from '../../message/topic.ts'
import type { OnFrame, Wire, WireOptions, WireSubscription } from '../wire.ts'
import { literalGlob, makeHead, packFrame, unpackFrame, widerGlob } from './frame.ts'
import { keepRoutes, type Route } from './routes.ts'
import { tellOnce } from './tell.ts'

const LIMIT = 65_536

/** How {@link redisWire} works. */
export interface RedisWireOptions extends WireOptions {
  /** Separates swarms on one server. Default `swarmbus`. */
  readonly prefix?: string
  readonly env?: Env
  /** Told when the connection is lost, when a try to open it again failed, and when all subscriptions stand again: what was published meanwhile is missed. */
  readonly onEvent?: (event: LinkEvent) => void
}

const RULES = {
  echo: aFlag,
  limit: whole(1),
  onError: aFunction,
  prefix: aRedisPrefix,
  env: anObject,
  onEvent: aFunction,
}

interface Listener {
  readonly tokens: readonly string[]
  readonly onFrame: OnFrame
  active: boolean
}

/** Those who share one subscription at the server. */
interface Group {
  readonly route: Route
  readonly listeners: Set<Listener>
}

/**
 * Live frames between processes over the channels of Redis, each a PUBLISH. Subscriptions stand on a connection of their own and are made
 * again after its loss; what is published without a connection, or while a subscriber has none, is missed (`onEvent` tells). A frame that
 * the server refuses, and bytes on a channel of the wire that are no frame, are told to `onError`. The link stays open. Throws INVALID_OPTION.
 */
export function redisWire(link: RedisLink, options: RedisWireOptions = {}): Wire {
  checkOption('redisWire', 'link', link, aRedisLink)
  checkOptions('redisWire', options, RULES)
  const { prefix = 'swarmbus', env = systemEnv(), echo = false, limit = LIMIT, onError, onEvent } = options
  const head = makeHead(env)
  const root = `${prefix}:wire:`
  const groups = new Map<string, Group>()
  const subscriptions = new Set<WireSubscription>()
  const watch = new Watch()
  if (onEvent !== undefined) watch.on(onEvent)
  const events = tellOnce(env, watch)
  const routes = keepRoutes({ link, env, onEvent: events.line })
  const watching = link.watch.on(events.link)
  if (!link.watch.isUp) events.link({ type: 'lost', why: 'there was no connection yet' })
  /** Frames that the server has not answered. */
  const flights = new Set<Promise<void>>()
  let closed = false

  function mustBeOpen(): void {
    if (closed) throw new BusError('BUS_CLOSED', 'the redis wire is closed')
  }

  function failed(error: unknown, topic: string): void {
    try {
      onError?.(error, topic)
    } catch {
      // An observer's fault must not reach other subscriptions.
    }
  }

  function deliver({ listeners }: Group, bytes: Buffer, channel: string): void {
    const topic = channel.slice(root.length)
    const unpacked = unpackFrame(bytes)
    if (unpacked === undefined) {
      const why = `${bytes.length} bytes on the channel ${channel} are no frame of a wire; dropped`
      failed(new BusError('DECODE_FAILED', why, { details: { channel } }), topic)
      return
    }
    if (!echo && unpacked.head.equals(head)) return
    const tokens = topic.split('.')
    // A copy: those who subscribe while a frame is handed over do not get it any more.
    for (const listener of [...listeners]) {
      if (!listener.active || !matchesTokens(listener.tokens, tokens)) continue
      try {
        listener.onFrame(topic, new Uint8Array(unpacked.frame))
      } catch (error) {
        failed(error, topic)
      }
    }
  }

  function groupOf(pattern: string, tokens: readonly string[]): Group {
    const wild = isWildcard(tokens)
    // In a cluster plain channels are reached by globs alone: its links subscribe to sharded ones otherwise.
    const isGlob = wild || link.kind === 'cluster'
    const name = wild ? `${root}${widerGlob(tokens)}` : `${root}${isGlob ? literalGlob(pattern) : pattern}`
    const key = isGlob ? `glob ${name}` : name
    const known = groups.get(key)
    if (known !== undefined) return known
    const onMessage = (bytes: Buffer, channel: string): void => {
      // Not this group: it may have ended and been made anew while the server kept the subscription.
      const group = groups.get(key)
      if (group !== undefined) deliver(group, bytes, channel)
    }
    const group: Group = { route: { name, isGlob, onMessage }, listeners: new Set() }
    groups.set(key, group)
    return group
  }

  async function send(topic: string, bytes: Buffer): Promise<void> {
    try {
      // By no key: in a cluster any node will do, and the same one is taken as long as it is there, which keeps the order.
      await link.command(undefined, ['PUBLISH', `${root}${topic}`, bytes])
    } catch (error) {
      // Live only: a lost connection loses frames, and is told as such.
      if (!isBusError(error, 'BROKER_UNREACHABLE') && !isBusError(error, 'BROKER_TIMEOUT')) failed(error, topic)
    }
  }

  return Object.freeze({
    name: 'redis',
    watch,

    publish(topic: string, frame: Uint8Array): void {
      mustBeOpen()
      parseTopic(topic)
      if (!(frame instanceof Uint8Array)) {
        throw new BusError('INVALID_PAYLOAD', `a frame is ${shown(frame)}; allowed: a Uint8Array`, {
          details: { field: 'frame', topic },
        })
      }
      if (flights.size >= limit) {
        throw new BusError('QUEUE_FULL', `${limit} frames of the redis wire wait for the server`, {
          details: { topic, limit },
        })
      }
      const flight: Promise<void> = send(topic, packFrame(head, frame)).then(() => void flights.delete(flight))
      flights.add(flight)
    },

    subscribe(pattern: string, onFrame: OnFrame): WireSubscription {
      mustBeOpen()
      const tokens = parsePattern(pattern)
      checkOption('subscribe', 'onFrame', onFrame, aFunction)
      const group = groupOf(pattern, tokens)
      const listener: Listener = { tokens, onFrame, active: true }
      group.listeners.add(listener)
      const ready = routes.want(group.route)
      const end = (): boolean => {
        if (!listener.active) return false
        listener.active = false
        group.listeners.delete(listener)
        if (group.listeners.size === 0) {
          groups.delete(group.route.isGlob ? `glob ${group.route.name}` : group.route.name)
          routes.unwant(group.route)
        }
        return subscriptions.delete(subscription)
      }
      const subscription: WireSubscription = Object.freeze({
        pattern,
        ready,
        unsubscribe: end,
        [Symbol.dispose]: () => void end(),
      })
      subscriptions.add(subscription)
      return subscription
    },

    async [Symbol.asyncDispose](): Promise<void> {
      closed = true
      watching[Symbol.dispose]()
      for (const subscription of [...subscriptions]) subscription.unsubscribe()
      await routes.close()
      // What was published arrives: each flight has its time limit.
      await Promise.all(flights)
    },
  })
}
