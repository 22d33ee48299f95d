import { createClient, ErrorReply, RESP_TYPES, type RedisClientOptions } from 'redis'

import type { Env, Timer } from '../../kit/env.ts'
import { isBusError } from '../../kit/errors.ts'
import { answerFault, openFault, type Place, unknown, unreachable } from './faults.ts'
import type { RedisArg, RedisLine, RedisReply } from './link.ts'

/** So long nothing was heard before the server is asked for a sign of life. */
const SILENCE_MS = 1_000
/** So long it may take to give one: a half-open connection is noticed within {@link SILENCE_MS} and this. */
const SIGN_MS = 3_000
/** Bytes as bytes, whatever they mean. */
const AS_BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.SIMPLE_STRING]: Buffer }

/** What all connections of a link share. */
export interface Access {
  readonly env: Env
  readonly tls: boolean
  readonly username?: string
  readonly password?: string
  readonly database: number
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
  /** Channels by SSUBSCRIBE. */
  readonly sharded: boolean
  readonly client: RedisClientOptions
}

/** One connection, which is gone for good when it is lost. */
export interface Connection extends RedisLine {
  readonly place: Place
  /**
   * Rejects with BROKER_UNREACHABLE when it was surely not sent. Once it was handed to the client it may have been: then a lost connection,
   * or no answer in time (plus what the command itself waits), is BROKER_TIMEOUT.
   */
  command(args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply>
  /** One after the other without anything between them. The answer is that of the last one. */
  together(first: readonly RedisArg[], last: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply>
  /** Ends it at once, as if it were lost. */
  end(why: string): void
}

function clientOf(place: Place, access: Access) {
  const { username, password, tls, connectTimeoutMs } = access
  return createClient({
    ...access.client,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    // RESP2: answers have the documented shape of each command, whatever the server's version.
    RESP: 2,
    database: access.database,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // The client's own time limit covers only the time until a command is written, and costs a signal for each.
    commandOptions: { timeout: 0, typeMapping: AS_BYTES },
    socket: {
      ...access.client.socket,
      ...place,
      tls,
      connectTimeout: connectTimeoutMs,
      // A connection is opened again by its owner, so that nothing is ever sent twice.
      reconnectStrategy: false,
    } as NonNullable<RedisClientOptions['socket']>,
  })
}

/** Milliseconds that a command waits in the server by its own wish; Infinity for ever. */
function blocksMs(args: readonly RedisArg[]): number {
  const name = String(args[0]).toUpperCase()
  if (name === 'WAIT') return Number(args[2]) || Number.POSITIVE_INFINITY
  if (name === 'WAITAOF') return Number(args[3]) || Number.POSITIVE_INFINITY
  if (name !== 'XREAD' && name !== 'XREADGROUP') return 0
  const at = args.findIndex((arg) => typeof arg === 'string' && arg.toUpperCase() === 'BLOCK')
  return at === -1 ? 0 : Number(args[at + 1]) || Number.POSITIVE_INFINITY
}

/** Opens a connection and asks the server for a sign of life. Rejects with BROKER_UNREACHABLE or BROKER_REFUSED. */
export async function openConnection(place: Place, access: Access): Promise<Connection> {
  const { env } = access
  const client = clientOf(place, access)
  const losers: ((why: string, cause?: unknown) => void)[] = []
  let lostWhy: string | undefined
  let heardMs = env.monotonicMs()
  let blocked = 0
  let guard: Timer | undefined

  function lose(why: string, cause?: unknown): void {
    if (lostWhy !== undefined) return
    lostWhy = why
    guard?.cancel()
    if (client.isOpen) client.destroy()
    for (const loser of losers.splice(0)) loser(why, cause)
  }
  // The client tells every fault here, before it fails the calls under way.
  client.on('error', (error: unknown) => lose(textOf(error), error))
  client.on('sharded-channel-moved', () => lose('the slot of its channel has moved'))

  function heard(): void {
    heardMs = env.monotonicMs()
  }

  function settled<T>(what: string, call: Promise<T>, timeoutMs: number, onLate?: () => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const late = (): void => {
        reject(unknown(place, what, `${timeoutMs} ms have passed`))
        onLate?.()
      }
      const timer = Number.isFinite(timeoutMs) ? env.after(timeoutMs, late) : undefined
      call.then(
        (reply) => {
          heard()
          timer?.cancel()
          resolve(reply)
        },
        (error: unknown) => {
          timer?.cancel()
          if (error instanceof ErrorReply) {
            heard()
            reject(answerFault(place, what, error))
          } else reject(unknown(place, what, lostWhy ?? String(error), error))
        },
      )
    })
  }

  function gone(): Promise<never> {
    return Promise.reject(unreachable(place, lostWhy ?? 'it was lost'))
  }

  function command(args: readonly RedisArg[], timeoutMs = access.commandTimeoutMs): Promise<RedisReply> {
    if (lostWhy !== undefined || !client.isReady) return gone()
    const what = String(args[0])
    const sent = client.sendCommand<RedisReply>([...args])
    const waitsMs = blocksMs(args)
    if (waitsMs === 0) return settled(what, sent, timeoutMs)
    blocked++
    // It is its own sign of life: the server answers when the wait is over.
    const limitMs = waitsMs + Math.min(timeoutMs, SIGN_MS)
    return settled(what, sent, limitMs, () => lose(`it gave no sign of life for ${limitMs} ms`)).finally(
      () => blocked--,
    )
  }

  function together(first: readonly RedisArg[], last: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply> {
    // Whether the first one fails is told by the answer to the last one.
    command(first, timeoutMs).catch(() => undefined)
    return command(last, timeoutMs)
  }

  /** Pub/sub calls have no time limit in the client. */
  function pubSub(what: string, run: () => Promise<void>): Promise<void> {
    return lostWhy !== undefined || !client.isReady ? gone() : settled(what, run(), access.commandTimeoutMs)
  }

  function watchSilence(): void {
    // From when it was heard last, not from now: otherwise a second more would pass.
    const waitMs = Math.max(1, heardMs + SILENCE_MS - env.monotonicMs())
    guard = env.after(blocked > 0 ? SILENCE_MS : waitMs, () => {
      const quiet = env.monotonicMs() - heardMs >= SILENCE_MS
      // Behind a command that waits, a sign of life would wait, too; such a command has its own limit.
      if (!quiet || blocked > 0) return watchSilence()
      command(['PING'], SIGN_MS).then(
        () => {
          if (lostWhy === undefined) watchSilence()
        },
        () => {
          if (env.monotonicMs() - heardMs >= SIGN_MS) lose(`it gave no sign of life for ${SIGN_MS} ms`)
          else if (lostWhy === undefined) watchSilence()
        },
      )
    })
  }

  const limit = env.after(access.connectTimeoutMs, () => lose(`no answer within ${access.connectTimeoutMs} ms`))
  try {
    const opened = client.connect()
    // The client does not settle this when it is destroyed while the server accepts but says nothing.
    const fails = new Promise<never>((_, reject) => losers.push((why, cause) => reject(cause ?? new Error(why))))
    fails.catch(() => undefined)
    await Promise.race([opened, fails])
    await command(['PING'], Number.POSITIVE_INFINITY)
  } catch (error) {
    lose('it could not be opened')
    if (error instanceof ErrorReply) throw answerFault(place, 'the connection', error)
    // Lost before it was ours: what was asked of it does not matter.
    throw openFault(place, isBusError(error, 'BROKER_TIMEOUT') ? new Error(lostWhy) : error, access)
  } finally {
    limit.cancel()
  }
  losers.length = 0
  watchSilence()

  return Object.freeze({
    place,
    command,
    together,
    subscribe(channel: string, onMessage: (bytes: Buffer) => void) {
      const listener = (bytes: Buffer): void => {
        heard()
        onMessage(bytes)
      }
      return access.sharded
        ? pubSub('SSUBSCRIBE', () => client.sSubscribe(channel, listener, true))
        : pubSub('SUBSCRIBE', () => client.subscribe(channel, listener, true))
    },
    unsubscribe(channel: string) {
      return access.sharded
        ? pubSub('SUNSUBSCRIBE', () => client.sUnsubscribe(channel))
        : pubSub('UNSUBSCRIBE', () => client.unsubscribe(channel))
    },
    subscribePattern(pattern: string, onMessage: (bytes: Buffer, channel: string) => void) {
      const listener = (bytes: Buffer, channel: Buffer): void => {
        heard()
        onMessage(bytes, channel.toString())
      }
      return pubSub('PSUBSCRIBE', () => client.pSubscribe(pattern, listener, true))
    },
    unsubscribePattern: (pattern: string) => pubSub('PUNSUBSCRIBE', () => client.pUnsubscribe(pattern)),
    onLost(run: (why: string) => void) {
      if (lostWhy === undefined) losers.push(run)
      else run(lostWhy)
    },
    end: lose,
    async [Symbol.asyncDispose]() {
      losers.length = 0
      lose('it was closed')
    },
  })
}

function textOf(error: unknown): string {
  const { message, code } = error as { message?: unknown; code?: unknown }
  // Refused by several addresses of a name, an error has a code alone.
  return String(message || code || error)
}
