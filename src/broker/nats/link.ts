import type { Msg, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
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
  /**
   * Asks a service, as that of JetStream. Rejects with BROKER_UNREACHABLE when the question was surely not sent, with BROKER_TIMEOUT when
   * that is unknown (no answer in time, or the connection was lost before it), with BROKER_REFUSED when nobody serves the subject or the
   * right is missing, and with PAYLOAD_TOO_LARGE. It is never sent again by itself.
   */
  ask(subject: string, payload?: Uint8Array | string, options?: NatsAskOptions): Promise<Msg>
}

/** How {@link NatsLink.ask} asks. */
export interface NatsAskOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds for the answer. Default 5 000. */
  readonly timeoutMs?: number
}

/** How {@link connectNats} connects. */
export interface NatsLinkOptions {
  readonly env?: Env
  /** Milliseconds for the first connection. Default 5 000. */
  readonly connectTimeoutMs?: number
  /** Between tries to connect again: the first wait, and the longest. Default 50 and 2 000; each ±25 %. */
  readonly retryMs?: number
  readonly longestRetryMs?: number
  /** Settings of the client: trust and certificates of TLS, other ways to prove who one is, the prefix of inboxes. */
  readonly client?: Pick<NodeConnectionOptions, 'tls' | 'authenticator' | 'inboxPrefix' | 'name'>
}
