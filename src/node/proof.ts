import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { AckLevel } from '../log/log.ts'
import { withClient } from './backends.ts'
import { backendOf, numberIn, readBackendUrl } from './url.ts'

/** One thing that a server said about itself, or that was stated about it. */
export interface BrokerReason {
  readonly setting: string
  readonly value: string
  /** What follows from it. */
  readonly says: string
}

/** What a broker can promise of the messages that it keeps, and why. */
export interface BrokerProof {
  readonly kind: 'redis' | 'nats'
  readonly version: string
  /** What an acknowledged message survives, with the settings of the url. */
  readonly level: AckLevel
  readonly reasons: readonly BrokerReason[]
  /** What would lead to a higher level. */
  readonly more: readonly string[]
  /** Why it cannot keep messages as it is set up. */
  readonly refused?: BusError
}

/**
 * Asks the broker of a url what it can promise; nothing is written there. Throws INVALID_OPTION, UNSUPPORTED for another backend,
 * BROKER_UNREACHABLE, BROKER_REFUSED, BROKER_TIMEOUT.
 */
export async function proveBroker(url: string, options: { readonly env?: Env } = {}): Promise<BrokerProof> {
  const { scheme } = readBackendUrl(url)
  const kind = backendOf(scheme)
  if (kind === 'redis') return withClient(kind, () => proveRedis(url, options))
  if (kind === 'nats') return withClient(kind, () => proveNats(url, options))
  throw new BusError('UNSUPPORTED', `"${scheme}:" is no broker`, { details: { field: 'url', scheme } })
}

async function proveRedis(url: string, options: { readonly env?: Env }): Promise<BrokerProof> {
  const { address, settings } = readBackendUrl(url)
  const replicas = numberIn(url, settings, 'replicas')
  const [{ connectRedis }, { redisProof }] = await Promise.all([
    import('../broker/redis/connect.ts'),
    import('../broker/redis/proof.ts'),
  ])
  await using link = await connectRedis(address, options)
  const { version, level, reasons, refused } = await redisProof(link)
  const asked = replicas === undefined ? [] : [replicated(replicas)]
  return {
    kind: 'redis',
    version,
    level: replicas === undefined ? level : 'replicated',
    reasons: [...reasons, ...asked],
    more: replicas === undefined ? MORE.redis[level] : [],
    ...(refused === undefined ? {} : { refused }),
  }
}

function replicated(replicas: number): BrokerReason {
  const says = `a publish is acknowledged once ${replicas} of them have it, else it is unknown: the loss of the master loses nothing`
  return { setting: 'replicas (of the url)', value: String(replicas), says }
}

async function proveNats(url: string, options: { readonly env?: Env }): Promise<BrokerProof> {
  const { address, settings } = readBackendUrl(url)
  const replicas = numberIn(url, settings, 'replicas')
  const storage = settings.get('storage') as 'file' | 'memory' | undefined
  const [{ connectNats }, { natsProof }] = await Promise.all([
    import('../broker/nats/connect.ts'),
    import('../broker/nats/proof.ts'),
  ])
  await using link = await connectNats(address, options)
  const { version, level, reasons, refused } = await natsProof(link, {
    ...(replicas === undefined ? {} : { replicas }),
    ...(storage === undefined ? {} : { storage }),
    ...(settings.get('sync') === undefined ? {} : { syncAlways: true }),
  })
  const more = refused === undefined ? MORE.nats[level] : ['enable JetStream: start nats-server with -js']
  return { kind: 'nats', version, level, reasons, more, ...(refused === undefined ? {} : { refused }) }
}

const CLUSTER = 'replicated: a cluster of three servers, and ?replicas=3 in the url, before the channel is made'
const REPLICAS = 'replicated: a replica that is connected, and ?replicas=1 in the url'

/** What to change for a higher level. */
const MORE: Readonly<Record<'redis' | 'nats', Readonly<Record<AckLevel, readonly string[]>>>> = {
  redis: {
    memory: ['process: set appendonly yes', 'disk: set appendfsync always as well', REPLICAS],
    process: ['disk: set appendfsync always', REPLICAS],
    disk: [REPLICAS],
    replicated: [],
  },
  nats: {
    memory: ['process: leave storage=memory away, before the channel is made'],
    process: [
      'disk: nats-server 2.10 or later with sync_interval: always in its jetstream block, and ?sync=always in the url',
      CLUSTER,
    ],
    disk: [CLUSTER],
    replicated: [],
  },
}
