import type { NatsLink } from '../broker/nats/link.ts'
import { textOf, tokenOf } from '../broker/nats/subject.ts'
import { anObject, checkOptions, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { isBusError } from '../kit/errors.ts'
import type { Leases } from './lease.ts'
import { leasesOver } from './leases.ts'
import { leaseSight } from './nats-sight.ts'
import { bodyOf, openLeaseStore } from './nats-store.ts'
import { natsTable } from './nats-table.ts'

const LIMIT = 10_000

const aPrefix: Rule = {
  allowed: 'letters, digits, - and _',
  ok: (value) => typeof value === 'string' && /^[\w-]+$/.test(value),
}
const RULES = { env: anObject, prefix: aPrefix, replicas: whole(1, 5), limit: whole(1) }

/** How {@link natsLeases} work. */
export interface NatsLeasesOptions {
  readonly env?: Env
  /** Separates swarms on one server: letters, digits, - and _. Default `swarmbus`. */
  readonly prefix?: string
  /** Copies of the stream, when it is made. Default 1. */
  readonly replicas?: number
  /** Most leases held, calls under way and waits together; more are refused with QUEUE_FULL. Default 10 000. */
  readonly limit?: number
}

/**
 * Owners in all processes that use the server: one message a name in the stream `<prefix>-leases`, each write of which names the one it
 * replaces. Who waits in this process gets a name in the order of asking; among processes the fastest does. A wait outlasts a loss of
 * the connection; other calls then reject with STORE_FAILED, and held leases run out by the clock of their owner. Tokens are the
 * numbers of the stream, and rise even when the server loses it; but two may own a name until the time of the first is over if it loses
 * what it had acknowledged, as a 2.9 may when its machine loses power. Rejects with INVALID_OPTION, BROKER_REFUSED, BROKER_UNREACHABLE,
 * BROKER_TIMEOUT.
 */
export async function natsLeases(link: NatsLink, options: NatsLeasesOptions = {}): Promise<Leases> {
  checkOptions('natsLeases', options, RULES)
  const { env = systemEnv(), prefix = 'swarmbus', replicas = 1, limit = LIMIT } = options
  const store = await openLeaseStore(link, prefix, replicas, env)
  const { connection } = link
  const released = `${prefix}.lr.`
  // Before the mark: what is written behind it is heard.
  const early: string[] = []
  let hear = (by: string): void => void early.push(by)
  let wake: (name: string) => void = () => undefined
  const heard = connection.subscribe(`${prefix}.l.>`, {
    callback(error, message) {
      const by = error === null ? bodyOf(message.data)?.by : undefined
      if (by !== undefined) hear(by)
    },
  })
  const freed = connection.subscribe(`${released}*`, {
    callback(error, message) {
      if (error === null) wake(textOf(message.subject.slice(released.length)))
    },
  })
  const leave = (): void => {
    store.close()
    for (const subscription of [heard, freed]) if (!connection.isClosed()) subscription.unsubscribe()
  }
  try {
    const sight = leaseSight(env, await store.mark())
    for (const by of early.splice(0)) sight.hear(by)
    hear = sight.hear
    const table = natsTable({
      env,
      store,
      sight,
      watch: link.watch,
      tell(name) {
        if (link.watch.isUp && !connection.isClosed()) connection.publish(released + tokenOf(name))
      },
      leave,
    })
    wake = table.wake
    return leasesOver(table, { name: 'nats', shared: true, env, limit })
  } catch (error) {
    leave()
    // What the broker said; a lease was not asked for yet.
    throw isBusError(error, 'STORE_FAILED') && isBusError(error.cause) ? error.cause : error
  }
}
