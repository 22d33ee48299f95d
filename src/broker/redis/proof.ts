import { BusError, isBusError } from '../../kit/errors.ts'
import type { RedisLink, RedisReply } from './link.ts'

/** What an acknowledged write survives: the crash of the server, or of its machine. */
export type RedisLevel = 'memory' | 'process' | 'disk'

/** One thing that the server said about itself. */
export interface RedisReason {
  readonly setting: string
  readonly value: string
  /** What follows from it. */
  readonly says: string
}

/** What a server, or the weakest master of a cluster, can promise, and why. */
export interface RedisProof {
  readonly version: string
  /** Another one after each start of the server; those of all masters, joined by commas. */
  readonly runId: string
  readonly level: RedisLevel
  readonly reasons: readonly RedisReason[]
  /** Why it must not keep messages at all. */
  readonly refused?: BusError
}

const LEVELS: readonly RedisLevel[] = ['memory', 'process', 'disk']
const SETTINGS = ['appendonly', 'appendfsync', 'maxmemory', 'maxmemory-policy', 'min-replicas-to-write']

type Facts = ReadonlyMap<string, string>

/** Asks the server what it can promise. What it does not tell counts as the least. Rejects when there is no connection. */
export async function redisProof(link: RedisLink): Promise<RedisProof> {
  const infos = await asked(link, ['INFO'])
  const settings = await Promise.all(SETTINGS.map((name) => asked(link, ['CONFIG', 'GET', name])))
  const nodes = Math.max(1, infos.length)
  const proofs = Array.from({ length: nodes }, (_, node) => {
    const config = new Map(settings.flatMap((answers) => pairOf(answers[node])))
    return proofOf(link.url, infoOf(infos[node]), config)
  })
  const versions = proofs
    .map(({ version }) => version)
    .toSorted((one, two) => one.localeCompare(two, 'en', { numeric: true }))
  const refused = proofs.find((proof) => proof.refused !== undefined)?.refused
  return Object.freeze({
    version: versions[0] ?? '',
    runId: proofs.map(({ runId }) => runId).join(','),
    level: weakest(proofs.map(({ level }) => level)),
    reasons: distinct(proofs.flatMap(({ reasons }) => reasons)),
    ...(refused === undefined ? {} : { refused }),
  })
}

/** The answers of all masters; none when the server does not allow the question. */
async function asked(link: RedisLink, args: readonly string[]): Promise<readonly RedisReply[]> {
  try {
    return await link.everywhere(args)
  } catch (error) {
    if (isBusError(error, 'BROKER_REFUSED') || isBusError(error, 'STORE_FAILED')) return []
    throw error
  }
}

function pairOf(answer: RedisReply | undefined): readonly (readonly [string, string])[] {
  return Array.isArray(answer) && answer.length >= 2 ? [[String(answer[0]), String(answer[1])]] : []
}

function infoOf(answer: RedisReply | undefined): Facts {
  const lines = String(answer ?? '').split('\r\n')
  return new Map(lines.flatMap((line) => (/^[a-z]\w*:/.test(line) ? [cut(line)] : [])))
}

function cut(line: string): [string, string] {
  const at = line.indexOf(':')
  return [line.slice(0, at), line.slice(at + 1)]
}

function weakest(levels: readonly RedisLevel[]): RedisLevel {
  return LEVELS[Math.min(...levels.map((level) => LEVELS.indexOf(level)))] ?? 'memory'
}

function distinct(reasons: readonly RedisReason[]): readonly RedisReason[] {
  return [...new Map(reasons.map((reason) => [`${reason.setting} ${reason.value}`, reason])).values()]
}

function proofOf(url: string, info: Facts, config: Facts): RedisProof {
  const reasons: RedisReason[] = []
  const level = levelOf(info, config, reasons)
  const refused = refusalOf(url, info, config, reasons)
  const least = Number(config.get('min-replicas-to-write') ?? '0')
  if (least > 0) say(reasons, 'min-replicas-to-write', String(least), `writes need ${least} connected replicas`)
  return {
    version: info.get('redis_version') ?? '',
    runId: info.get('run_id') ?? '',
    level,
    reasons,
    ...(refused === undefined ? {} : { refused }),
  }
}

function say(reasons: RedisReason[], setting: string, value: string, says: string): void {
  reasons.push(Object.freeze({ setting, value, says }))
}

function levelOf(info: Facts, config: Facts, reasons: RedisReason[]): RedisLevel {
  // Not `appendonly` of the settings: it is so before the first file is written.
  const keeps = info.get('aof_enabled')
  if (keeps !== '1') {
    const says = 'what was acknowledged may be lost when the server ends; set appendonly yes'
    say(reasons, 'appendonly', keeps === undefined ? 'unproven' : (config.get('appendonly') ?? 'no'), says)
    return 'memory'
  }
  say(reasons, 'appendonly', 'yes', 'what was acknowledged survives a crash of the server')
  if (info.get('aof_last_write_status') === 'err') {
    say(reasons, 'aof_last_write_status', 'err', 'the last write to the file failed')
    return 'memory'
  }
  const sync = config.get('appendfsync')
  if (sync === 'always') {
    say(reasons, 'appendfsync', sync, 'what was acknowledged survives a loss of power')
    return 'disk'
  }
  const lost = sync === 'everysec' ? 'the last second' : sync === 'no' ? 'some 30 seconds' : 'unproven: some 30 seconds'
  say(reasons, 'appendfsync', sync ?? 'unproven', `a loss of power may cost ${lost}; set appendfsync always`)
  return 'process'
}

function refusalOf(url: string, info: Facts, config: Facts, reasons: RedisReason[]): BusError | undefined {
  const role = info.get('role')
  if (role === 'slave') {
    say(reasons, 'role', role, 'a replica takes no writes')
    return refuse(url, 'it is a replica: name its master in the URL', 'role', role)
  }
  // INFO tells the policy, too, when CONFIG is forbidden.
  const policy = config.get('maxmemory-policy') ?? info.get('maxmemory_policy')
  const limit = config.get('maxmemory') ?? info.get('maxmemory') ?? '0'
  if (policy === 'noeviction') {
    const says =
      limit === '0'
        ? 'nothing is evicted'
        : `nothing is evicted; above ${limit} bytes publishing is refused with STORE_FULL`
    say(reasons, 'maxmemory-policy', policy, says)
    return undefined
  }
  if (policy === undefined) {
    say(reasons, 'maxmemory-policy', 'unproven', 'whether messages may be evicted is not known; set noeviction')
    return undefined
  }
  if (policy.startsWith('volatile-')) {
    const says =
      'messages stay, for their keys have no time to live; what has one (leases, ids of deduplication) may go early'
    say(reasons, 'maxmemory-policy', policy, says)
    return undefined
  }
  say(reasons, 'maxmemory-policy', policy, 'acknowledged messages are evicted when memory runs short')
  return refuse(
    url,
    `maxmemory-policy is ${policy}: it evicts acknowledged messages; set maxmemory-policy noeviction`,
    'maxmemory-policy',
    policy,
  )
}

function refuse(url: string, why: string, setting: string, value: string): BusError {
  return new BusError('BROKER_REFUSED', `${url} cannot keep messages: ${why}`, { details: { url, setting, value } })
}
