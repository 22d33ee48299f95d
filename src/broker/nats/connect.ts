import {
  connect,
  type Msg,
  type MsgHdrs,
  headers as makeHeaders,
  type NatsConnection,
  type NatsConnectionImpl,
  type NodeConnectionOptions,
} from '@nats-io/transport-node'
import { backoffMs } from '../../kit/backoff.ts'
import { anObject, checkOptions, milliseconds } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { Watch } from '../watch.ts'
import { type NatsAddress, parseNatsUrl } from './address.ts'
import { askFault, connectFault } from './faults.ts'
import type { NatsAskOptions, NatsLink, NatsLinkOptions } from './link.ts'
import { probeNats } from './probe.ts'

const CONNECT_TIMEOUT_MS = 5_000
const ASK_TIMEOUT_MS = 5_000
const RETRY_MS = 50
const LONGEST_RETRY_MS = 2_000
/**
 * A link on which nothing comes back is given up at the third ping, 3 to 4.5 s after its last sign of life. Two may be open, so that a
 * process that was busy for long, and finds the answer only after its own timer, does not give up a sound one.
 */
const PING_MS = 1_500
const OPEN_PINGS = 2

const RULES = {
  env: anObject,
  connectTimeoutMs: milliseconds(1),
  retryMs: milliseconds(0),
  longestRetryMs: milliseconds(0),
  client: anObject,
}

/**
 * Connects to NATS, see {@link parseNatsUrl} for the address. Rejects with INVALID_OPTION, BROKER_UNREACHABLE, or BROKER_REFUSED when
 * the server does not want the client, or the client does not trust the server. Disposal closes at once: what is to be sent is flushed
 * by those who sent it.
 */
export async function connectNats(url: string, options: NatsLinkOptions = {}): Promise<NatsLink> {
  checkOptions('connectNats', options, RULES)
  const { env = systemEnv(), connectTimeoutMs = CONNECT_TIMEOUT_MS } = options
  const { retryMs = RETRY_MS, longestRetryMs = LONGEST_RETRY_MS, client = {} } = options
  const address = parseNatsUrl(url)
  const watch = new Watch()
  /** Tries since the connection stood last. */
  let tries = 0
  let stands = false
  let fault = ''

  /** Called before each try. The client's own waits look at the wall clock, and would not end after a step of it; this one does. */
  function nextTry(server: string): number {
    if (!stands) return 0
    tries++
    if (tries === 1) return env.random() * retryMs
    const nextMs = backoffMs(env, { firstMs: retryMs, mostMs: Math.max(retryMs, longestRetryMs) }, tries - 1)
    watch.tell({ type: 'retry', tries: tries - 1, why: fault || `no NATS at ${server}`, nextMs })
    fault = ''
    return nextMs
  }

  const connection = await open(env, address, connectTimeoutMs, {
    ...client,
    ...who(address),
    ...(address.tls ? { tls: client.tls ?? {} } : {}),
    timeout: connectTimeoutMs,
    pingInterval: PING_MS,
    maxPingOut: OPEN_PINGS,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    reconnectDelayHandler: () => Number.NEGATIVE_INFINITY,
    reconnectToServer(pool) {
      const server = pool[0]
      return server === undefined ? null : { server, delay: nextTry(server.listen) }
    },
  })
  stands = true
  // Servers that did not answer yet are tried when the connection is lost.
  connection.setServers([...address.servers])
  const version = versionOf(connection)
  const pending = new Set<() => void>()
  let closing: Promise<void> | undefined

  async function follow(): Promise<void> {
    let lostAtMs = 0
    for await (const status of connection.status()) {
      if (status.type === 'error') fault = status.error.message
      if (status.type === 'staleConnection') {
        fault = 'it answers no ping'
        // The client waits for the last bytes to be written, which on a link that takes none would be for ever.
        transportOf(connection)?.discard()
      }
      if (status.type === 'disconnect') {
        lostAtMs = env.monotonicMs()
        watch.tell({ type: 'lost', why: fault || `${status.server} closed the connection` })
        fault = ''
        for (const reject of [...pending]) reject()
      }
      if (status.type === 'reconnect') {
        const tried = tries
        tries = 0
        watch.tell({ type: 'restored', downMs: env.monotonicMs() - lostAtMs, tries: tried })
      }
    }
  }
  const followed = follow()

  function ask(subject: string, payload?: Uint8Array | string, asking: NatsAskOptions = {}): Promise<Msg> {
    if (!watch.isUp || connection.isClosed()) {
      return Promise.reject(
        new BusError('BROKER_UNREACHABLE', `there is no connection to ${shownUrl(address)}`, { details: { subject } }),
      )
    }
    const { headers, timeoutMs = ASK_TIMEOUT_MS } = asking
    return new Promise((resolve, reject) => {
      const lost = (): void => {
        pending.delete(lost)
        reject(
          new BusError('BROKER_TIMEOUT', `the connection was lost before ${subject} was answered`, {
            details: { subject },
          }),
        )
      }
      pending.add(lost)
      connection
        .request(subject, payload, { timeout: timeoutMs, ...(headers && { headers: headersOf(headers) }) })
        .then(
          (answer) => {
            pending.delete(lost)
            resolve(answer)
          },
          (error: unknown) => {
            pending.delete(lost)
            reject(askFault(error, subject))
          },
        )
    })
  }

  async function close(): Promise<void> {
    await connection.close()
    // A try to connect that is under way has a socket of its own, which closing leaves open.
    transportOf(connection)?.discard()
    await followed
    for (const reject of [...pending]) reject()
  }

  return Object.freeze({
    url: shownUrl(address),
    watch,
    connection,
    version,
    isAtLeast: (major: number, minor: number) => version[0] > major || (version[0] === major && version[1] >= minor),
    ask,
    [Symbol.asyncDispose](): Promise<void> {
      closing ??= close()
      return closing
    },
  })
}

/** The first connection: to whichever of the servers answers first. */
async function open(
  env: Env,
  { servers }: NatsAddress,
  timeoutMs: number,
  options: NodeConnectionOptions,
): Promise<NatsConnection> {
  const silent = options.tls?.handshakeFirst === true
  const untilMs = env.monotonicMs() + timeoutMs
  let place = servers.join(', ')
  try {
    place = await Promise.any(
      servers.map(async (server) => {
        await probeNats(env, server, timeoutMs, silent)
        return server
      }),
    )
    return await inTime(env, untilMs, connect({ ...options, servers: [place] }))
  } catch (error) {
    throw connectFault(error, place)
  }
}

/** The connection, if it stands by then; a later one is closed. */
function inTime(env: Env, untilMs: number, opening: Promise<NatsConnection>): Promise<NatsConnection> {
  return new Promise((resolve, reject) => {
    let late = false
    const timer = env.after(Math.max(0, untilMs - env.monotonicMs()), () => {
      late = true
      reject(new Error('it did not answer in time'))
    })
    opening.then(
      (connection) => {
        timer.cancel()
        if (late) void connection.close()
        else resolve(connection)
      },
      (error: unknown) => {
        timer.cancel()
        reject(error)
      },
    )
  })
}

function headersOf(fields: Readonly<Record<string, string>>): MsgHdrs {
  const made = makeHeaders()
  for (const [name, value] of Object.entries(fields)) made.set(name, value)
  return made
}

function who({ user, pass, token }: NatsAddress): Pick<NodeConnectionOptions, 'user' | 'pass' | 'token'> {
  if (token !== undefined) return { token }
  return user === undefined ? {} : { user, ...(pass !== undefined && { pass }) }
}

function shownUrl({ servers, tls }: NatsAddress): string {
  return `${tls ? 'tls' : 'nats'}://${servers.join(',')}`
}

function versionOf(connection: NatsConnection): readonly [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = (connection.info?.version ?? '').split(/[.-]/).map(Number)
  return [major || 0, minor || 0, patch || 0]
}

/** The socket of the client, which has no public word for letting go of one that hangs. */
function transportOf(connection: NatsConnection): { discard(): void } | undefined {
  return (connection as Partial<NatsConnectionImpl>).protocol?.transport
}
