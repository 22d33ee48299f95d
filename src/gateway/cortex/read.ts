import type { RedisLine, RedisLink, RedisReply } from '../../broker/redis/link.ts'
import { backoffMs } from '../../kit/backoff.ts'
import type { Env } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import type { CortexFields, CortexLayout, CortexPlace } from './layout.ts'
import { entriesOf, listOf } from './scripts.ts'

/** How {@link CortexStreams.read} reads. */
export interface CortexReadOptions {
  /** The keys of the streams. */
  readonly streams: readonly string[]
  /** `first` (default): from the oldest entry; `end`: only what comes from now on; or after an entry id of each stream. */
  readonly after?: 'first' | 'end' | Readonly<Record<string, string>>
  /** True: waits for more at the end, until the signal. Default false. */
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

/** An entry that was read, without a group: nobody else gets it less for it. */
export interface CortexEntry extends CortexPlace {
  /** Undefined for an entry that is no message. */
  readonly message: Message | undefined
  /** Why it is none. */
  readonly fault: BusError | undefined
  readonly fields: CortexFields
  /** The name of the swarm of ours that wrote it; undefined for Cortex. */
  readonly by: string | undefined
}

/** Entries of a page: one answer of the server. */
const PAGE = 100
/** So long one blocking read waits in the server; then the next one does. */
const BLOCK_MS = 10_000

/** What reading needs. */
export interface ReadParts {
  readonly link: RedisLink
  readonly layout: CortexLayout
  readonly env: Env
}

/** Reads streams by XREAD: in order inside each, from its position; groups stay untouched. */
export async function* readStreams(parts: ReadParts, options: CortexReadOptions): AsyncIterable<CortexEntry> {
  const { link, layout } = parts
  const { streams, after = 'first', follow = false, signal } = options
  const positions = new Map<string, string>()
  for (const stream of streams) {
    const given = typeof after === 'object' ? after[stream] : undefined
    positions.set(stream, after === 'end' ? await newestIn(link, stream) : (given ?? '0-0'))
  }
  const tail = follow ? tailOf(parts, positions, signal) : undefined
  try {
    for (;;) {
      const pages = listOf(await (tail?.next() ?? link.command(streams[0], pageCall(positions, undefined))))
      if (signal?.aborted || pages.length === 0) return
      for (const page of pages) {
        const [key, entries] = listOf(page)
        const stream = String(key)
        for (const { entryId, fields = {} } of entriesOf(entries)) {
          positions.set(stream, entryId)
          yield entryOf(layout, { stream, entryId }, fields)
          if (signal?.aborted) return
        }
      }
    }
  } finally {
    await tail?.close()
  }
}

function entryOf(layout: CortexLayout, place: CortexPlace, fields: CortexFields): CortexEntry {
  try {
    return { ...place, ...layout.decode(fields, place), fault: undefined, fields }
  } catch (error) {
    if (!isBusError(error)) throw error
    return { ...place, message: undefined, by: undefined, fault: error, fields }
  }
}

function pageCall(positions: ReadonlyMap<string, string>, blockMs: number | undefined): readonly string[] {
  const block = blockMs === undefined ? [] : ['BLOCK', String(blockMs)]
  return ['XREAD', 'COUNT', String(PAGE), ...block, 'STREAMS', ...positions.keys(), ...positions.values()]
}

interface Tail {
  /** The next entries; null once the signal is aborted. */
  next(): Promise<RedisReply>
  close(): Promise<void>
}

/** Waits for entries on a line of its own; a lost line is opened again, and reading goes on where it was. */
function tailOf({ link, env }: ReadParts, positions: ReadonlyMap<string, string>, signal?: AbortSignal): Tail {
  let line: RedisLine | undefined
  async function close(): Promise<void> {
    const old = line
    line = undefined
    await old?.[Symbol.asyncDispose]()
  }
  const stop = (): void => void close()
  signal?.addEventListener('abort', stop)
  return {
    async next() {
      for (let tries = 0; !signal?.aborted; ) {
        try {
          if (line === undefined) {
            await mustHold(link, positions)
            line = await link.line([...positions.keys()][0])
          }
          if (signal?.aborted) break
          const reply = await line.command(pageCall(positions, BLOCK_MS))
          tries = 0
          if (reply !== null) return reply
        } catch (error) {
          await close()
          if (signal?.aborted) break
          if (!isOutage(error)) throw error
          tries++
          await pause(env, backoffMs(env, { firstMs: 50, mostMs: 2_000 }, tries), signal)
        }
      }
      return null
    },
    async close() {
      signal?.removeEventListener('abort', stop)
      await close()
    },
  }
}

/** Whether a fault passes when the broker is there again. */
export function isOutage(error: unknown): boolean {
  return isBusError(error, 'BROKER_UNREACHABLE') || isBusError(error, 'BROKER_TIMEOUT')
}

/** Rejects with DATA_LOSS when a stream ends before its position: the server came back without its data. */
async function mustHold(link: RedisLink, positions: ReadonlyMap<string, string>): Promise<void> {
  for (const [stream, position] of positions) {
    const newest = await newestIn(link, stream)
    if (compareIds(newest, position) >= 0) continue
    throw new BusError(
      'DATA_LOSS',
      `${stream} ends at ${newest}, but was read up to ${position}: its server lost data`,
      {
        details: { stream, newest, position },
      },
    )
  }
}

/** The id of the newest entry that a stream ever had; `0-0` for none. */
export async function newestIn(link: RedisLink, stream: string): Promise<string> {
  try {
    const info = listOf(await link.command(stream, ['XINFO', 'STREAM', stream]))
    const at = info.findIndex((name) => String(name) === 'last-generated-id')
    return String(info[at + 1])
  } catch (error) {
    if (isBusError(error) && /no such key/i.test(String((error.cause as Error | undefined)?.message))) return '0-0'
    throw error
  }
}

/** Below 0 when the first entry id is older. */
export function compareIds(one: string, other: string): number {
  const [ms = 0, step = 0] = one.split('-').map(Number)
  const [otherMs = 0, otherStep = 0] = other.split('-').map(Number)
  return ms === otherMs ? step - otherStep : ms - otherMs
}

/** Resolves after a while, or at the signal. */
export function pause(env: Env, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = env.after(ms, end)
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end()
  })
}
