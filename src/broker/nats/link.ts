import type { NatsConnection } from '@nats-io/transport-node'
import type { Env } from '../../kit/env.ts'
import type { Watch } from '../watch.ts'

/** The connection to NATS. The client opens it again by itself, with growing waits, and without end. */
export interface NatsLink extends AsyncDisposable {
  /** For people, without secrets. */
  readonly url: string
  readonly watch: Watch
  /** The client, for what has no word here. Whoever uses it does not close it. */
  readonly connection: NatsConnection
  /** Of the server that was met first: `[2, 9, 10]`. Old servers ignore what they do not know, so every newer feature is asked for here. */
  readonly version: readonly [number, number, number]
  /** True when the server is at least that version. */
  isAtLeast(major: number, minor: number): boolean
}

/** How {@link connectNats} connects. */
export interface NatsLinkOptions {
  readonly env?: Env
  /** Milliseconds for the first connection. Default 5 000. */
  readonly connectTimeoutMs?: number
  /** Between tries to connect again: the first wait, and the longest. Default 50 and 2 000; each ±25 %. */
  readonly retryMs?: number
  readonly longestRetryMs?: number
}
