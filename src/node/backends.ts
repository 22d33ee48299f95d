import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Leases } from '../lease/lease.ts'
import type { LogEvent, MessageLog } from '../log/log.ts'
import type { Wire } from '../wire/wire.ts'
import { backendOf, masked, numberIn, readBackendUrl, refuseUrl, sqliteFile } from './url.ts'

// The only file that knows all backends.

/** Which log a bus keeps its messages in, and how that was decided. */
export interface BackendChoice {
  /** As it is given to {@link openLog}; secrets are shown as `***`. */
  readonly url: string
  /** For people: "given", or the variable that names it, or that nothing does. */
  readonly why: string
}

/** Variables that name a backend, in the order in which they are looked at. */
const VARIABLES = ['SWARMBUS_URL', 'REDIS_URL', 'NATS_URL'] as const

/** Decides on the backend: what is given, else the environment, else memory. The url is not checked here. */
export function chooseBackend(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): BackendChoice & { readonly secretUrl: string } {
  if (given !== undefined) return { secretUrl: given, url: masked(given), why: 'given' }
  for (const name of VARIABLES) {
    const value = environment[name]
    if (value !== undefined && value !== '') return { secretUrl: value, url: masked(value), why: `from ${name}` }
  }
  const why = `none of ${VARIABLES.join(', ')} is set: nothing outlives this process`
  return { secretUrl: 'memory:', url: 'memory:', why }
}

/** What publishes do while a broker cannot be reached. */
export interface OfflineOptions {
  /** Most messages that wait, in order; more are refused with STORE_FULL. Default 10 000. */
  readonly limit?: number
  /** Milliseconds for which one waits before STORE_FAILED; 0 refuses at once. Default 5 000. */
  readonly forMs?: number
}

/** What a connection with TLS trusts and shows: PEM texts or bytes. */
export interface TlsOptions {
  /** Certificates that are trusted instead of those of the system. */
  readonly ca?: string | Buffer
  /** Who this process is, for servers that ask. */
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
}

/** How a log is opened. */
export interface OpenLogOptions {
  readonly env?: Env
  /** Milliseconds within which a repeated id or idempotency key is stored once. Default 600 000. */
  readonly dedupMs?: number
  /** Goes on with a log that lacks messages which it had acknowledged; what is lost becomes a gap. Default false: DATA_LOSS. */
  readonly acceptLoss?: boolean
  /** For a log on a broker. */
  readonly offline?: OfflineOptions
  readonly tls?: TlsOptions
  /** Told what happens to the connection to a broker, and of losses. */
  readonly onEvent?: (event: LogEvent) => void
}

/** What one url gives. Disposal closes the log, the wire and the connections. */
export interface Backend extends AsyncDisposable {
  readonly log: MessageLog
  /** Between the processes of the swarm; undefined where there is only one. */
  readonly wire: Wire | undefined
  /** Who owns what, among all processes that use the url. */
  leases(): Promise<Leases>
}

/** Opens what a url names. Throws INVALID_OPTION for one that cannot be read, UNSUPPORTED for a scheme that is not there, BROKER_UNREACHABLE, BROKER_REFUSED, and what the log throws. */
export function openBackend(url: string, options: OpenLogOptions = {}): Promise<Backend> {
  const { scheme } = readBackendUrl(url)
  const kind = backendOf(scheme)
  switch (kind) {
    case 'memory':
    case 'sqlite':
      return openEmbedded(url, kind, options)
    case 'redis':
      return withClient('redis', () => openRedis(url, options))
    case 'nats':
      return withClient('nats', () => openNats(url, options))
    case undefined:
      return refuseScheme(url, scheme)
    default:
      return kind satisfies never
  }
}

/** As {@link openBackend}, for those who want nothing but the log; disposing it closes the connections as well. */
export async function openLog(url: string, options: OpenLogOptions = {}): Promise<MessageLog> {
  const backend = await openBackend(url, options)
  return Object.freeze({ ...backend.log, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() })
}

async function openEmbedded(url: string, kind: 'memory' | 'sqlite', options: OpenLogOptions): Promise<Backend> {
  const shared = commonOf(options)
  if (kind === 'memory') {
    if (url !== 'memory:') refuseUrl(url, 'memory: takes nothing behind the colon')
    const { memoryLog } = await import('../log/memory.ts')
    return embedded(memoryLog(shared), async () => {
      const { memoryLeases } = await import('../lease/memory.ts')
      return memoryLeases(options.env === undefined ? {} : { env: options.env })
    })
  }
  const file = sqliteFile(url) ?? ''
  if (file === '') refuseUrl(url, 'name the file: sqlite:FILE')
  const { sqliteLog } = await import('../log/sqlite/sqlite.ts')
  const log = await sqliteLog(file, {
    ...shared,
    ...(options.acceptLoss === undefined ? {} : { acceptLoss: options.acceptLoss }),
  })
  return embedded(log, async () => {
    const { sqliteLeases } = await import('../lease/sqlite.ts')
    return sqliteLeases(`${file}-leases`, options.env === undefined ? {} : { env: options.env })
  })
}

function embedded(log: MessageLog, makeLeases: () => Promise<Leases>): Backend {
  return assembled({ log, wire: undefined, makeLeases, close: async () => undefined })
}

async function openRedis(url: string, options: OpenLogOptions): Promise<Backend> {
  const { address, settings } = readBackendUrl(url)
  const [{ connectRedis }, { redisLog }, { redisWire }, { heldAppends }] = await Promise.all([
    import('../broker/redis/connect.ts'),
    import('../log/redis/redis.ts'),
    import('../wire/redis/redis.ts'),
    import('../log/offline.ts'),
  ])
  const replicas = numberIn(url, settings, 'replicas')
  const prefix = prefixIn(settings)
  const { tls } = options
  const link = await connectRedis(address, {
    ...envOf(options),
    ...(tls === undefined ? {} : { client: { socket: { tls: true, ...tls } } }),
  })
  try {
    const log = await redisLog(link, {
      ...brokerLogOf(options),
      ...prefix,
      ...(replicas === undefined ? {} : { replicas }),
    })
    return assembled({
      // A cluster serves the channels of the nodes that live while another one is away: what is away refuses for itself.
      log: link.kind === 'cluster' ? log : heldAppends(log, link.watch, { ...options.offline, ...envOf(options) }),
      wire: redisWire(link, { ...prefix }),
      makeLeases: async () => {
        const { redisLeases } = await import('../lease/redis/redis.ts')
        return redisLeases(link, { ...prefix, ...envOf(options) })
      },
      close: async () => link[Symbol.asyncDispose](),
    })
  } catch (error) {
    await link[Symbol.asyncDispose]()
    throw error
  }
}

async function openNats(url: string, options: OpenLogOptions): Promise<Backend> {
  const { address, settings } = readBackendUrl(url)
  const [{ connectNats }, { jetStreamLog }, { natsWire }, { heldAppends }] = await Promise.all([
    import('../broker/nats/connect.ts'),
    import('../log/jetstream/jetstream.ts'),
    import('../wire/nats.ts'),
    import('../log/offline.ts'),
  ])
  const replicas = numberIn(url, settings, 'replicas')
  const prefix = prefixIn(settings)
  const storage = settings.get('storage')
  if (storage !== undefined && storage !== 'file' && storage !== 'memory') refuseUrl(url, '"storage" is file or memory')
  const sync = settings.get('sync')
  if (sync !== undefined && sync !== 'always') refuseUrl(url, '"sync" is always, if the server is set up so')
  const { tls } = options
  const link = await connectNats(address, {
    ...envOf(options),
    ...(tls === undefined ? {} : { client: { tls: textsOf(tls) } }),
  })
  try {
    const log = await jetStreamLog(link, {
      ...brokerLogOf(options),
      ...prefix,
      ...(replicas === undefined ? {} : { replicas }),
      ...(storage === undefined ? {} : { storage }),
      ...(sync === undefined ? {} : { syncAlways: true }),
    })
    return assembled({
      log: heldAppends(log, link.watch, { ...options.offline, ...envOf(options) }),
      wire: natsWire(link, { ...prefix }),
      makeLeases: async () => {
        const { natsLeases } = await import('../lease/nats.ts')
        return natsLeases(link, { ...prefix, ...envOf(options), ...(replicas === undefined ? {} : { replicas }) })
      },
      close: async () => link[Symbol.asyncDispose](),
    })
  } catch (error) {
    await link[Symbol.asyncDispose]()
    throw error
  }
}

interface Parts {
  readonly log: MessageLog
  readonly wire: Wire | undefined
  readonly makeLeases: () => Promise<Leases>
  readonly close: () => Promise<void>
}

function assembled({ log, wire, makeLeases, close }: Parts): Backend {
  let leases: Promise<Leases> | undefined
  let closing: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await (await leases?.catch(() => undefined))?.[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
    await wire?.[Symbol.asyncDispose]()
    await close()
  }
  return {
    log,
    wire,
    leases() {
      leases ??= makeLeases()
      return leases
    },
    [Symbol.asyncDispose]() {
      closing ??= end()
      return closing
    },
  }
}

function envOf({ env }: OpenLogOptions): { readonly env?: Env } {
  return env === undefined ? {} : { env }
}

/** The client of NATS takes texts. */
function textsOf(tls: TlsOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tls).map(([name, value]) => [name, String(value)]))
}

function commonOf({ env, dedupMs }: OpenLogOptions): { readonly env?: Env; readonly dedupMs?: number } {
  return { ...(env === undefined ? {} : { env }), ...(dedupMs === undefined ? {} : { dedupMs }) }
}

function brokerLogOf(options: OpenLogOptions): Pick<OpenLogOptions, 'env' | 'dedupMs' | 'onEvent'> {
  return { ...commonOf(options), ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }) }
}

function prefixIn(settings: ReadonlyMap<string, string>): { readonly prefix?: string } {
  const prefix = settings.get('prefix')
  return prefix === undefined ? {} : { prefix }
}

const CLIENTS = { redis: 'redis', nats: '@nats-io/transport-node @nats-io/jetstream' } as const

/** The clients of brokers are optional peers: who uses one installs it. Throws UNSUPPORTED when it is not there. */
export async function withClient<T>(kind: keyof typeof CLIENTS, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (cause) {
    if ((cause as { code?: unknown } | undefined)?.code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new BusError('UNSUPPORTED', `${kind} needs its client: npm install ${CLIENTS[kind]}`, { cause })
  }
}

async function refuseScheme(url: string, scheme: string): Promise<never> {
  const later = ['ws', 'wss', 'http', 'https']
  if (!later.includes(scheme)) refuseUrl(url, 'begin with memory:, sqlite:, redis:// or nats://')
  throw new BusError('UNSUPPORTED', `"${masked(url)}": this version has no gateway; there are redis:// and nats://`, {
    details: { field: 'url', scheme, allowed: 'memory:, sqlite:FILE, redis://, nats://' },
  })
}
