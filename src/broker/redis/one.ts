import type { Env } from '../../kit/env.ts'
import { Watch } from '../watch.ts'
import type { RedisAddress } from './address.ts'
import type { Connection } from './connection.ts'
import { unreachable } from './faults.ts'
import { keepConnection } from './kept.ts'
import type { RedisArg, RedisLine, RedisLink, RedisReply, RedisScript } from './link.ts'
import { runScript } from './scripts.ts'

/** How {@link oneServer} works. */
export interface OneServerParts {
  readonly env: Env
  readonly address: RedisAddress
  readonly retryMs: number
  readonly longestRetryMs: number
  /** Opens a connection to the server, or to the one that is master now. */
  readonly open: () => Promise<Connection>
}

/** A link to one server, or to one master behind sentinels. */
export async function oneServer({ env, address, retryMs, longestRetryMs, open }: OneServerParts): Promise<RedisLink> {
  const watch = new Watch()
  const { shown: url, kind } = address
  const lines = new Set<Connection>()
  const kept = keepConnection(await open(), {
    ...{ env, retryMs, longestRetryMs, open, name: url },
    onEvent(event) {
      // The next master is another server: what a line waits for there never comes.
      if (kind === 'sentinel' && event.type === 'lost') for (const line of lines) line.end('the master was lost')
      watch.tell(event)
    },
  })
  let closed = false

  async function command(args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply> {
    const connection = kept.now()
    try {
      return await connection.command(args, timeoutMs)
    } catch (error) {
      // The master that we know was made a replica: the sentinels know the new one.
      if (kind === 'sentinel' && isReadOnly(error)) connection.end('it is no master any more')
      throw error
    }
  }

  return Object.freeze({
    kind,
    url,
    watch,
    command: (_key: string | undefined, args: readonly RedisArg[], timeoutMs?: number) => command(args, timeoutMs),
    run: (script: RedisScript, keys: readonly string[], args: readonly RedisArg[], timeoutMs?: number) =>
      runScript((call) => command(call, timeoutMs), script, keys, args),
    async line(): Promise<RedisLine> {
      kept.now()
      const line = await open()
      if (closed) line.end('it was closed')
      if (closed) throw unreachable(url, 'it is closed')
      lines.add(line)
      line.onLost(() => void lines.delete(line))
      return line
    },
    everywhere: async (args: readonly RedisArg[]) => [await command(args)],
    async [Symbol.asyncDispose]() {
      closed = true
      kept.close()
      for (const line of lines) line.end('it was closed')
    },
  })
}

function isReadOnly(error: unknown): boolean {
  return (error as { details?: { answer?: unknown } }).details?.answer === 'READONLY'
}
