import type { Replayed } from '../bus/kept-verbs.ts'
import type { Env, Timer } from '../kit/env.ts'
import { type BusError, isBusError } from '../kit/errors.ts'
import { channelOf, type Entry, type Gap, type MessageLog } from '../log/log.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'
import { readStory } from '../worker/record.ts'
import { sleepUntil } from '../worker/sleep.ts'

/** Milliseconds between two looks for streams that are new. */
const LOOK_MS = 1_000

/** What is followed. */
export interface FollowOptions {
  readonly pattern: string
  /** The last entry of each stream that was read already. */
  readonly read: ReadonlyMap<string, string>
  readonly onGap: (gap: Gap) => void
  /** Told once each time the broker goes away; following goes on when it is back. */
  readonly onAway: (error: BusError) => void
  readonly signal: AbortSignal
  readonly env: Env
}

/** Messages of the pattern as they are stored, behind what was read already, until the signal is aborted. Redriven ones were there before. */
export async function* follow(log: MessageLog, options: FollowOptions): AsyncGenerator<Replayed> {
  const { pattern, read, onGap, onAway, signal, env } = options
  const tokens = parsePattern(pattern)
  const ended = new AbortController()
  const all = AbortSignal.any([signal, ended.signal])
  const followed = new Set<string>()
  // One entry of each stream at a time: a slow reader holds them back.
  const ready: { readonly entry: Entry; readonly taken: () => void }[] = []
  let failure: unknown
  let failed = false
  let wake = Promise.withResolvers<void>()
  const fail = (error: unknown): void => {
    failure ??= error
    failed = true
    wake.resolve()
  }
  let away = false
  /** Rejects with anything but the loss of the connection, which is waited for. */
  async function whileAway(error: unknown): Promise<void> {
    if (all.aborted) return
    if (!isAway(error)) throw error
    if (!away) onAway(error)
    away = true
    await sleepUntil(env, env.monotonicMs() + LOOK_MS, all)
  }
  async function tail(stream: string): Promise<void> {
    let after = read.get(stream)
    while (!all.aborted) {
      try {
        const place = after === undefined ? {} : { after }
        for await (const entry of log.read(stream, { follow: true, signal: all, ...place })) {
          away = false
          if (entry.type === 'gap') onGap(entry)
          else if (
            readStory(entry.note).redriven === undefined &&
            matchesTokens(tokens, entry.message.topic.split('.'))
          ) {
            const taken = Promise.withResolvers<void>()
            ready.push({ entry, taken: taken.resolve })
            wake.resolve()
            await taken.promise
          }
          after = entry.type === 'gap' ? entry.to : entry.offset
        }
        return
      } catch (error) {
        await whileAway(error)
      }
    }
  }
  async function look(): Promise<void> {
    try {
      for (const { stream } of await log.streams()) {
        if (followed.has(stream) || stream.endsWith('/dead')) continue
        followed.add(stream)
        tail(stream).catch(fail)
      }
      away = false
    } catch (error) {
      await whileAway(error)
    }
  }
  let timer: Timer | undefined
  const again = (): void => {
    timer = env.after(LOOK_MS, () => {
      look().then(() => {
        if (!all.aborted) again()
      }, fail)
    })
  }
  const onAbort = (): void => wake.resolve()
  all.addEventListener('abort', onAbort, { once: true })
  try {
    await look()
    again()
    while (!all.aborted) {
      const next = ready.shift()
      if (next === undefined) {
        if (failed) throw failure
        await wake.promise
        wake = Promise.withResolvers()
        continue
      }
      const { stream, offset, message, storedAt } = next.entry
      yield { message, offset: `${stream}:${offset}`, channel: channelOf(stream), storedAt }
      next.taken()
    }
  } finally {
    timer?.cancel()
    all.removeEventListener('abort', onAbort)
    ended.abort()
    for (const { taken } of ready) taken()
  }
}

/** True for the loss of a connection, also where it is the cause of what a log says. */
function isAway(error: unknown): error is BusError {
  for (let one = error; one !== undefined; one = one instanceof Error ? one.cause : undefined) {
    if (isBusError(one, 'BROKER_UNREACHABLE') || isBusError(one, 'BROKER_TIMEOUT')) return isBusError(error)
  }
  return false
}
