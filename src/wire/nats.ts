import type { NatsLink } from '../broker/nats/link.ts'
import { subjectOf, topicOf } from '../broker/nats/subject.ts'
import type { LinkEvent } from '../broker/watch.ts'
import { aFlag, aFunction, anObject, checkOption, checkOptions, type Rule, shown, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { parsePattern, parseTopic } from '../message/topic.ts'
import { type Interest, natsInterests } from './nats-interest.ts'
import { natsOutlet } from './nats-outlet.ts'
import type { OnFrame, Wire, WireOptions, WireSubscription } from './wire.ts'

const LIMIT = 65_536
/** Before each frame: its format, and which wire it comes from. */
const FORMAT = 1
const HEAD_BYTES = 9

const aPrefix: Rule = {
  allowed: 'letters, digits, - and _',
  ok: (value) => typeof value === 'string' && /^[\w-]+$/.test(value),
}
const RULES = { env: anObject, prefix: aPrefix, echo: aFlag, limit: whole(1), onError: aFunction, onEvent: aFunction }

/** How {@link natsWire} works. */
export interface NatsWireOptions extends WireOptions {
  readonly env?: Env
  /** Separates swarms on one server: letters, digits, - and _. Default `swarmbus`. */
  readonly prefix?: string
  /** Told about the connection: what others publish between `lost` and `restored` does not arrive. */
  readonly onEvent?: (event: LinkEvent) => void
}

/**
 * Live frames over the subjects of NATS. `limit` counts frames that the server has not confirmed; beside it at most 64 MiB of them wait.
 * While the connection is lost they wait, too, and go out in order when it is back; what was under way when it broke may be lost.
 * `publish` also throws PAYLOAD_TOO_LARGE above the server's `max_payload`; `ready` rejects with BROKER_REFUSED where the right is
 * missing, and with SUBSCRIPTION_ENDED when the subscription or the wire ends before. In a cluster of servers `ready` speaks for the server of this
 * connection; the others follow within moments. Disposal sends what waits, as long as the connection stands. Throws INVALID_OPTION.
 */
export function natsWire(link: NatsLink, options: NatsWireOptions = {}): Wire {
  checkOptions('natsWire', options, RULES)
  const { env = systemEnv(), prefix = 'swarmbus', echo = false, limit = LIMIT, onError, onEvent } = options
  const root = `${prefix}.w.`
  const head = headOf(env)
  const outlet = natsOutlet(link, limit)
  const interests = natsInterests(link, receive)
  const subscriptions = new Set<WireSubscription>()
  const observer = onEvent === undefined ? undefined : link.watch.on(onEvent)
  let closing: Promise<void> | undefined

  function mustBeOpen(): void {
    if (closing !== undefined) throw new BusError('BUS_CLOSED', 'the NATS wire is closed')
  }
  function failed(error: unknown, topic: string): void {
    try {
      onError?.(error, topic)
    } catch {
      // An observer's fault must not reach other subscriptions.
    }
  }
  function receive(listeners: Iterable<Interest>, subject: string, bytes: Uint8Array): void {
    const topic = topicOf(subject.slice(root.length))
    if (bytes.length < HEAD_BYTES || bytes[0] !== FORMAT) {
      failed(
        new BusError('DECODE_FAILED', `what came on "${topic}" is no frame of a wire`, { details: { topic } }),
        topic,
      )
      return
    }
    if (!echo && head.every((byte, index) => bytes[index] === byte)) return
    // A copy: those who subscribe while a frame is handed over do not get it any more.
    for (const listener of [...listeners]) {
      if (!listener.active) continue
      try {
        // Not `slice`, which of a Buffer is a view.
        listener.onFrame(topic, new Uint8Array(bytes.subarray(HEAD_BYTES)))
      } catch (error) {
        failed(error, topic)
      }
    }
  }

  return Object.freeze({
    name: 'nats',
    watch: link.watch,

    publish(topic: string, frame: Uint8Array): void {
      mustBeOpen()
      const tokens = parseTopic(topic)
      if (!(frame instanceof Uint8Array)) {
        throw new BusError('INVALID_PAYLOAD', `a frame is ${shown(frame)}; allowed: a Uint8Array`, {
          details: { field: 'frame', topic },
        })
      }
      const bytes = new Uint8Array(HEAD_BYTES + frame.length)
      bytes.set(head)
      bytes.set(frame, HEAD_BYTES)
      outlet.send(topic, root + subjectOf(tokens), bytes)
    },

    subscribe(pattern: string, onFrame: OnFrame): WireSubscription {
      mustBeOpen()
      const tokens = parsePattern(pattern)
      checkOption('subscribe', 'onFrame', onFrame, aFunction)
      const interest = interests.add(root + subjectOf(tokens), onFrame)
      const end = (): boolean => {
        if (!interest.end()) return false
        return subscriptions.delete(subscription)
      }
      const subscription: WireSubscription = Object.freeze({
        pattern,
        ready: interest.ready,
        unsubscribe: end,
        [Symbol.dispose]: () => void end(),
      })
      subscriptions.add(subscription)
      return subscription
    },

    [Symbol.asyncDispose](): Promise<void> {
      closing ??= (async () => {
        observer?.[Symbol.dispose]()
        for (const subscription of [...subscriptions]) subscription.unsubscribe()
        interests.close()
        await outlet.close()
      })()
      return closing
    },
  })
}

/** The format, and eight bytes that no other wire has. */
function headOf(env: Env): Uint8Array {
  return Uint8Array.from({ length: HEAD_BYTES }, (_, index) => (index === 0 ? FORMAT : Math.floor(env.random() * 256)))
}
