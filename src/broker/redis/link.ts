import { createHash } from 'node:crypto'
import type { RedisClientOptions } from 'redis'

import type { Env } from '../../kit/env.ts'
import type { Watch } from '../watch.ts'

/** What a command is made of. */
export type RedisArg = string | Buffer
/** What Redis answers; texts and bytes come as bytes. */
export type RedisReply = number | Buffer | null | readonly RedisReply[]

/** A script that runs in the server as one atomic step. */
export interface RedisScript {
  readonly lua: string
  readonly sha: string
}

/**
 * A connection of its own: a call that blocks in the server holds up nobody else. Is not opened again when it is lost, when its link is
 * closed, when its master was replaced, or its slot has moved. Disposal ends it at once, also while a call blocks. Once it has subscribed
 * to something it takes no other commands.
 */
export interface RedisLine extends AsyncDisposable {
  /**
   * As that of the link. What waits in the server by its own wish (BLOCK, WAIT) may wait that long; when the answer is overdue by more than
   * 3 s, the line is lost. BLOCK 0 has no limit: then only the system notices a half-open connection.
   */
  command(args: readonly RedisArg[]): Promise<RedisReply>
  /** The bytes of each message that is published to the channel from when the promise resolves on; by SSUBSCRIBE in a cluster. */
  subscribe(channel: string, onMessage: (bytes: Buffer) => void): Promise<void>
  unsubscribe(channel: string): Promise<void>
  /** As `subscribe`, for a glob pattern of Redis. Not sharded. */
  subscribePattern(pattern: string, onMessage: (bytes: Buffer, channel: string) => void): Promise<void>
  unsubscribePattern(pattern: string): Promise<void>
  /** Called once, when the connection is lost; not for its own disposal. */
  onLost(run: (why: string) => void): void
}

/**
 * The connection to a Redis: one server, one behind Sentinel, or a cluster. It is opened again by itself, with growing waits; meanwhile
 * every call is refused at once with BROKER_UNREACHABLE: surely not carried out.
 */
export interface RedisLink extends AsyncDisposable {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  /** For people, without secrets. */
  readonly url: string
  /** Whether the connection stands (in a cluster: those to all masters), and who is told when that changes. */
  readonly watch: Watch
  /**
   * One command, to the node of the key. Answers have the shapes of RESP2. Rejects with BROKER_UNREACHABLE when it was surely not carried out, with BROKER_TIMEOUT when
   * that is unknown (the connection was lost, or no answer came in time), or with what the server answered. It is never sent again by itself.
   */
  command(key: string | undefined, args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply>
  /** Runs a script, which is loaded when the server does not know it. All keys lie in one slot. */
  run(script: RedisScript, keys: readonly string[], args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply>
  /** A connection to the node of the key. Rejects with BROKER_UNREACHABLE. */
  line(key?: string): Promise<RedisLine>
  /** The same command to each master: all there is but in a cluster. */
  everywhere(args: readonly RedisArg[]): Promise<readonly RedisReply[]>
}

/** How {@link connectRedis} connects. */
export interface RedisLinkOptions {
  readonly env?: Env
  /** Milliseconds for the first connection. Default 5 000. */
  readonly connectTimeoutMs?: number
  /** Milliseconds for the answer to a command. Default 5 000. */
  readonly commandTimeoutMs?: number
  /** Between tries to connect again: the first wait, and the longest. Default 50 and 2 000; each ±25 %. */
  readonly retryMs?: number
  readonly longestRetryMs?: number
  /** Settings of the client, such as `{ socket: { tls: true, ca } }`. What this link decides itself counts above them. */
  readonly client?: RedisClientOptions
}

/** A script, with the name by which servers know it. */
export function redisScript(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}
