import { backoffMs } from '../../kit/backoff.ts'
import type { Env, Timer } from '../../kit/env.ts'
import type { BusError } from '../../kit/errors.ts'
import type { LinkEvent } from '../watch.ts'
import type { Connection } from './connection.ts'
import { unreachable } from './faults.ts'

/** A connection that is opened again whenever it is lost. */
export interface Kept {
  /** The present connection. Throws BROKER_UNREACHABLE when there is none. */
  now(): Connection
  readonly isUp: boolean
  close(): void
}

/** How {@link keepConnection} works. */
export interface KeptParts {
  readonly env: Env
  readonly retryMs: number
  readonly longestRetryMs: number
  /** For people. */
  readonly name: string
  /** Opens a connection to where the server is now. */
  readonly open: () => Promise<Connection>
  readonly onEvent: (event: LinkEvent) => void
}

/** Keeps a connection that was opened. */
export function keepConnection(first: Connection, parts: KeptParts): Kept {
  const { env, name, open, onEvent } = parts
  const backoff = { firstMs: parts.retryMs, mostMs: parts.longestRetryMs }
  let current: Connection | undefined
  let why = ''
  let closed = false
  let timer: Timer | undefined
  let sinceMs = 0

  function guard(connection: Connection): void {
    connection.onLost((reason) => {
      if (current !== connection) return
      current = undefined
      if (closed) return
      why = reason
      sinceMs = env.monotonicMs()
      onEvent({ type: 'lost', why })
      again(1)
    })
  }

  /** The first try after a short wait, too: what cut many connections at once is not met by all of them at once. */
  function again(tries: number): number {
    const waitMs = backoffMs(env, backoff, tries)
    timer = env.after(waitMs, () => void attempt(tries))
    return waitMs
  }

  async function attempt(tries: number): Promise<void> {
    try {
      const connection = await open()
      if (closed) return connection.end('it was closed')
      current = connection
      onEvent({ type: 'restored', downMs: env.monotonicMs() - sinceMs, tries })
      guard(connection)
    } catch (error) {
      if (closed) return
      why = (error as BusError).message
      onEvent({ type: 'retry', tries, why, nextMs: again(tries + 1) })
    }
  }

  current = first
  guard(first)
  return Object.freeze({
    now(): Connection {
      if (current === undefined) throw unreachable(name, closed ? 'it is closed' : why)
      return current
    },
    get isUp() {
      return current !== undefined
    },
    close() {
      closed = true
      timer?.cancel()
      const last = current
      current = undefined
      last?.end('it was closed')
    },
  })
}
