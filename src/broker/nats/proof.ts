import { aFlag, checkOptions, oneOf, whole } from '../../kit/check.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import { askAgain } from './ask-again.ts'
import type { NatsLink } from './link.ts'

/** What an acknowledged message survives: nothing, the crash of the server, that of its machine, the loss of a node. */
export type NatsLevel = 'memory' | 'process' | 'disk' | 'replicated'

/** One thing that the server said about itself, or that was stated about it. */
export interface NatsReason {
  readonly setting: string
  readonly value: string
  /** What follows from it. */
  readonly says: string
}

/** What a server can promise, and why. */
export interface NatsProof {
  readonly version: string
  /** Another one after each start of the server. */
  readonly serverId: string
  readonly level: NatsLevel
  readonly reasons: readonly NatsReason[]
  /** The largest message with its headers. */
  readonly maxPayloadBytes: number
  /** Why it cannot keep messages at all. */
  readonly refused?: BusError
}

/** What streams are, or are to be, made of. */
export interface NatsProofOptions {
  /** Default `file`. */
  readonly storage?: 'file' | 'memory'
  /** Default 1. */
  readonly replicas?: number
  /** States that the servers have `sync_interval: always`, which no client can read. Counts from version 2.10 on, which has it. */
  readonly syncAlways?: boolean
}

const RULES = { storage: oneOf(['file', 'memory']), replicas: whole(1, 5), syncAlways: aFlag }

const LIMITS = {
  max_memory: 'bytes of all streams in memory',
  max_storage: 'bytes of all streams in files',
  max_streams: 'streams',
  max_consumers: 'consumers of one stream',
} as const

interface Answer {
  readonly error?: { readonly description?: string }
  readonly limits?: Partial<Record<keyof typeof LIMITS, number>>
}

/** Asks the server what it can promise. What it does not tell counts as the least. Rejects with INVALID_OPTION, or when there is no answer. */
export async function natsProof(link: NatsLink, options: NatsProofOptions = {}): Promise<NatsProof> {
  checkOptions('natsProof', options, RULES)
  const account = await accountOf(link)
  const reasons: NatsReason[] = []
  const version = link.version.join('.')
  const info = link.connection.info
  reasons.push(reason('version', version, versionSays(link)))
  const refused = account instanceof BusError ? account : alone(link, options)
  reasons.push(
    reason(
      'jetstream',
      account instanceof BusError ? 'off' : 'on',
      account instanceof BusError ? 'it keeps nothing' : 'it keeps messages',
    ),
  )
  const level = refused === undefined ? levelOf(link, options, reasons) : 'memory'
  const maxPayloadBytes = info?.max_payload ?? 0
  reasons.push(reason('max_payload', String(maxPayloadBytes), 'bytes of the largest message, headers included'))
  if (!(account instanceof BusError)) reasons.push(...limitsOf(account))
  return Object.freeze({
    version,
    serverId: info?.server_id ?? '',
    level,
    reasons,
    maxPayloadBytes,
    ...(refused === undefined ? {} : { refused }),
  })
}

function reason(setting: string, value: string, says: string): NatsReason {
  return Object.freeze({ setting, value, says })
}

async function accountOf(link: NatsLink): Promise<Answer | BusError> {
  const refuse = (why: string, cause?: unknown): BusError =>
    new BusError('BROKER_REFUSED', `${link.url} cannot keep messages: ${why}`, {
      cause,
      details: { url: link.url, setting: 'jetstream' },
    })
  try {
    const answer = (await askAgain(link, '$JS.API.INFO')).json<Answer>()
    if (answer.error === undefined) return answer
    return refuse(`${answer.error.description}; enable JetStream for the account`)
  } catch (error) {
    if (!isBusError(error, 'BROKER_REFUSED')) throw error
    return refuse('it has no JetStream, or forbids it; start nats-server with -js', error)
  }
}

/** A server that is in no cluster cannot keep several copies. */
function alone(link: NatsLink, { replicas = 1 }: NatsProofOptions): BusError | undefined {
  const { jetstream, cluster } = (link.connection.info ?? {}) as { jetstream?: boolean; cluster?: string }
  if (replicas === 1 || !jetstream || cluster !== undefined) return undefined
  const text = `${link.url} is in no cluster: ${replicas} replicas need ${replicas} servers in one; leave replicas away, or join more`
  return new BusError('BROKER_REFUSED', text, { details: { url: link.url, setting: 'replicas', value: replicas } })
}

function versionSays(link: NatsLink): string {
  if (link.isAtLeast(2, 12)) return 'all that is used is there'
  if (link.isAtLeast(2, 10)) return 'delays, times to live and atomic steps are done by swarmbus itself'
  return 'as before 2.10 it cannot write through to the disk; delays, times to live and atomic steps are done by swarmbus itself'
}

function levelOf(
  link: NatsLink,
  { storage = 'file', replicas = 1, syncAlways = false }: NatsProofOptions,
  reasons: NatsReason[],
): NatsLevel {
  if (storage === 'memory') {
    reasons.push(reason('storage', storage, 'what was acknowledged is lost when the server ends; use file'))
    return 'memory'
  }
  reasons.push(reason('storage', storage, 'what was acknowledged survives a crash of the server'))
  if (replicas >= 3) {
    reasons.push(reason('replicas', String(replicas), 'a majority has it: it survives the loss of a node'))
    return 'replicated'
  }
  reasons.push(reason('replicas', String(replicas), 'a loss of its node loses it; 3 survive that'))
  if (syncAlways && link.isAtLeast(2, 10)) {
    reasons.push(reason('sync_interval', 'always (stated)', 'what was acknowledged survives a loss of power'))
    return 'disk'
  }
  const ignored = 'always is stated, but this version does not have it; use nats-server 2.10 or later'
  const unproven = 'a loss of power may cost the last 2 minutes; set sync_interval: always and state syncAlways'
  reasons.push(reason('sync_interval', syncAlways ? 'not there' : 'unproven', syncAlways ? ignored : unproven))
  return 'process'
}

function limitsOf({ limits = {} }: Answer): readonly NatsReason[] {
  return Object.entries(LIMITS).map(([name, what]) => {
    const most = limits[name as keyof typeof LIMITS] ?? -1
    return reason(name, most < 0 ? 'none' : String(most), most < 0 ? `no limit of ${what}` : `at most ${most} ${what}`)
  })
}
