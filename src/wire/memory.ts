import { aFlag, aFunction, checkOption, checkOptions, shown, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import { matchesTokens, parsePattern, parseTopic } from '../message/topic.ts'
import type { OnFrame, Wire, WireOptions, WireSubscription } from './wire.ts'

const LIMIT = 65_536
/** So many frames are handed over before timers and I/O get their turn. */
const AT_ONCE = 1_024

const RULES = { echo: aFlag, limit: whole(1), onError: aFunction }

interface Listener {
  readonly pattern: readonly string[]
  readonly onFrame: OnFrame
  readonly owner: object
  readonly echo: boolean
  readonly failed: (error: unknown, topic: string) => void
  active: boolean
}

interface Flight {
  readonly topic: string
  readonly tokens: readonly string[]
  readonly frame: Uint8Array
  readonly owner: object
  readonly landed: () => void
}

/** What the memory wires of one process share: make one hub, and a wire for each user of it. */
export interface MemoryHub {
  readonly add: (listener: object) => void
  readonly remove: (listener: object) => void
  readonly send: (flight: object) => void
}

/** Makes a hub. All frames of all its wires are handed over in one order: that of their publishing. */
export function memoryHub(env: Env = systemEnv()): MemoryHub {
  const listeners = new Set<Listener>()
  const flights = new Ring<Flight>()
  let scheduled = false

  function land(): void {
    for (let count = 0; count < AT_ONCE; count++) {
      const flight = flights.shift()
      if (flight === undefined) break
      flight.landed()
      // A copy: those who subscribe while a frame is handed over do not get it any more.
      for (const listener of [...listeners]) if (fits(listener, flight)) call(listener, flight)
    }
    scheduled = flights.size > 0
    if (scheduled) env.nextTurn(land)
  }
  return Object.freeze({
    add: (listener: object) => void listeners.add(listener as Listener),
    remove: (listener: object) => void listeners.delete(listener as Listener),
    send(flight: object): void {
      flights.push(flight as Flight)
      if (scheduled) return
      scheduled = true
      env.soon(land)
    },
  })
}

function fits(listener: Listener, flight: Flight): boolean {
  return (listener.echo || listener.owner !== flight.owner) && matchesTokens(listener.pattern, flight.tokens)
}

function call(listener: Listener, { topic, frame }: Flight): void {
  if (!listener.active) return
  try {
    listener.onFrame(topic, frame.slice())
  } catch (error) {
    listener.failed(error, topic)
  }
}

/** Live frames inside one process. Throws INVALID_OPTION. */
export function memoryWire(hub: MemoryHub, options: WireOptions = {}): Wire {
  checkOptions('memoryWire', options, RULES)
  const { echo = false, limit = LIMIT, onError } = options
  const owner = {}
  const subscriptions = new Set<WireSubscription>()
  let waiting = 0
  let closed = false
  const landed = (): void => void waiting--

  function mustBeOpen(): void {
    if (closed) throw new BusError('BUS_CLOSED', 'the memory wire is closed')
  }
  function failed(error: unknown, topic: string): void {
    try {
      onError?.(error, topic)
    } catch {
      // An observer's fault must not reach other subscriptions.
    }
  }
  return Object.freeze({
    name: 'memory',

    publish(topic: string, frame: Uint8Array): void {
      mustBeOpen()
      const tokens = parseTopic(topic)
      if (!(frame instanceof Uint8Array)) {
        throw new BusError('INVALID_PAYLOAD', `a frame is ${shown(frame)}; allowed: a Uint8Array`, {
          details: { field: 'frame', topic },
        })
      }
      if (waiting >= limit) {
        throw new BusError('QUEUE_FULL', `${limit} frames of the memory wire wait to be handed over`, {
          details: { topic, limit },
        })
      }
      waiting++
      hub.send({ topic, tokens, frame: Uint8Array.from(frame), owner, landed } satisfies Flight)
    },

    subscribe(pattern: string, onFrame: OnFrame): WireSubscription {
      mustBeOpen()
      const tokens = parsePattern(pattern)
      checkOption('subscribe', 'onFrame', onFrame, aFunction)
      const listener: Listener = { pattern: tokens, onFrame, owner, echo, failed, active: true }
      const end = (): boolean => {
        if (!listener.active) return false
        listener.active = false
        hub.remove(listener)
        return subscriptions.delete(subscription)
      }
      const subscription: WireSubscription = Object.freeze({
        pattern,
        ready: Promise.resolve(),
        unsubscribe: end,
        [Symbol.dispose]: () => void end(),
      })
      hub.add(listener)
      subscriptions.add(subscription)
      return subscription
    },

    async [Symbol.asyncDispose](): Promise<void> {
      closed = true
      for (const subscription of [...subscriptions]) subscription.unsubscribe()
    },
  })
}
