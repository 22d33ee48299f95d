import type { Replay, Replayed, ReplayOptions } from '../bus/kept-verbs.ts'
import { aFunction, aText, checkOption, checkOptions, type Rule, whole } from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { channelOf, type Entry, type Gap, type MessageLog, type ReadOptions } from '../log/log.ts'
import { isMessageId, timeOfId } from '../message/ids.ts'
import type { Message } from '../message/message.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'
import { type Place, readPlace, writePlace } from './places.ts'
import { readStory } from './record.ts'
import { sleepUntil } from './sleep.ts'

const anId: Rule = { allowed: 'the id of a message', ok: isMessageId }

/** One field of several, checked. */
function oneField(rules: Readonly<Record<string, Rule>>, words: readonly string[]): Rule {
  const fields = Object.entries(rules).map(([name, rule]) => `{ ${name}: ${rule.allowed} }`)
  return {
    allowed: [...words.map((word) => `"${word}"`), ...fields].join(', '),
    ok(value) {
      if (typeof value === 'string') return words.includes(value)
      const given = Object.entries((value ?? {}) as object)
      const [name, inner] = given[0] ?? ['', undefined]
      return given.length === 1 && Object.hasOwn(rules, name) && (rules[name] as Rule).ok(inner)
    },
  }
}

const RULES: Readonly<Record<string, Rule>> = {
  from: oneField({ offset: aText, after: aText, time: whole(0), id: anId }, ['first']),
  to: oneField({ time: whole(0), id: anId }, []),
  last: whole(1),
  session: aText,
  agent: aText,
  pace: {
    allowed: '"fast", "original" or a number > 0',
    ok: (value) => value === 'fast' || value === 'original' || (typeof value === 'number' && value > 0),
  },
  onGap: aFunction,
  signal: { allowed: 'an AbortSignal', ok: (value) => value instanceof AbortSignal },
}

/** Where replays read. */
export interface ReplaySource {
  readonly log: MessageLog
  readonly env: Env
  /** The streams that may hold messages of the pattern. */
  streams(pattern: readonly string[]): Promise<readonly string[]>
  /** Told of each message that is handed out. */
  readonly replayed?: (one: Replayed) => void
}

/** Kept messages of several streams as one, in the order in which they were stored. Throws INVALID_TOPIC, INVALID_OPTION. */
export function replayOf<T>(source: ReplaySource, pattern: string, options: ReplayOptions = {}): Replay<T> {
  checkOption('replay', 'pattern', pattern, aText)
  const tokens = parsePattern(pattern)
  checkOptions('replay', options, RULES)
  const { from, last } = options
  if (last !== undefined && from !== undefined && from !== 'first') {
    throw new BusError('INVALID_OPTION', 'replay: "last" does not go with "from"; allowed: one of the two', {
      details: { field: 'last', allowed: 'without from' },
    })
  }
  const place =
    typeof from === 'object' && ('offset' in from || 'after' in from)
      ? readPlace('offset' in from ? from.offset : from.after)
      : undefined
  const entries = (): AsyncIterableIterator<Replayed<T>> =>
    run(source, tokens, options, place) as AsyncIterableIterator<Replayed<T>>
  return {
    entries,
    async *[Symbol.asyncIterator]() {
      for await (const { message } of entries()) yield message
    },
  }
}

async function* run(
  source: ReplaySource,
  tokens: readonly string[],
  options: ReplayOptions,
  place: Place | undefined,
): AsyncGenerator<Replayed> {
  const { log } = source
  const found = await source.streams(tokens)
  const streams = place === undefined || found.includes(place.stream) ? found : [...found, place.stream]
  const range = await rangeOf(log, options, place)
  const wanted = (message: Message): boolean => {
    const { session, agent } = options
    if (session !== undefined && message.session !== session) return false
    if (agent !== undefined && message.from !== agent && message.to !== agent) return false
    return matchesTokens(tokens, message.topic.split('.'))
  }
  const merged = merge(
    streams.map((stream) => log.read(stream, range(stream))),
    options,
  )
  const chosen = options.last === undefined ? merged : newest(merged, wanted, options.last)
  const pace = options.pace ?? 'fast'
  let begin: { storedAt: number; atMs: number } | undefined
  for await (const { stream, offset, message, storedAt } of chosen) {
    if (options.signal?.aborted) return
    if (!wanted(message)) continue
    if (pace !== 'fast') {
      begin ??= { storedAt, atMs: source.env.monotonicMs() }
      const factor = pace === 'original' ? 1 : pace
      await sleepUntil(source.env, begin.atMs + (storedAt - begin.storedAt) / factor, options.signal)
      if (options.signal?.aborted) return
    }
    const one: Replayed = { message, offset: writePlace({ stream, offset }), channel: channelOf(stream), storedAt }
    source.replayed?.(one)
    yield one
    const { to } = options
    if (to !== undefined && 'id' in to && message.id === to.id) return
  }
}

/** What is read of each stream. */
async function rangeOf(
  log: MessageLog,
  options: ReplayOptions,
  place: Place | undefined,
): Promise<(stream: string) => ReadOptions> {
  const { from, to, signal } = options
  const shared: ReadOptions = {
    ...(signal === undefined ? {} : { signal }),
    ...(to !== undefined && 'time' in to ? { until: to.time } : {}),
  }
  if (from === undefined || from === 'first') return () => shared
  if ('time' in from) return () => ({ ...shared, since: from.time })
  // An id holds the time of its making; what was stored later may have been made in the same millisecond.
  if ('id' in from) return () => ({ ...shared, since: timeOfId(from.id as never) })
  const { stream, offset } = place as Place
  const since = await storedAt(log, stream, offset)
  return (one) => {
    if (one !== stream) return since === undefined ? shared : { ...shared, since }
    return { ...shared, ...('offset' in from ? { from: offset } : { after: offset }) }
  }
}

/** When the entry of a place was stored, or the next one that is there. */
export async function storedAt(log: MessageLog, stream: string, offset: string): Promise<number | undefined> {
  for await (const entry of log.read(stream, { from: offset })) if (entry.type === 'entry') return entry.storedAt
  return undefined
}

/** The entries of several streams by the time of their storing; within a stream the order stays. */
async function* merge(sources: readonly AsyncIterable<Entry | Gap>[], options: ReplayOptions): AsyncGenerator<Entry> {
  const { from } = options
  const heads: { readonly rest: AsyncIterator<Entry | Gap>; entry: Entry }[] = []
  const next = async (rest: AsyncIterator<Entry | Gap>): Promise<Entry | undefined> => {
    for (;;) {
      const step = await rest.next()
      if (step.done) return undefined
      // A redriven message was there before: it is the same one.
      if (step.value.type === 'entry' && readStory(step.value.note).redriven !== undefined) continue
      if (step.value.type === 'entry') return step.value
      tellGap(step.value, options)
    }
  }
  try {
    for (const source of sources) {
      const rest = source[Symbol.asyncIterator]()
      const entry = await next(rest)
      if (entry !== undefined) heads.push({ rest, entry })
    }
    let begun = !(typeof from === 'object' && 'id' in from)
    while (heads.length > 0) {
      let best = heads[0] as (typeof heads)[number]
      for (const head of heads) if (isBefore(head.entry, best.entry)) best = head
      const { entry } = best
      begun ||= typeof from === 'object' && 'id' in from && entry.message.id >= from.id
      if (begun) yield entry
      const following = await next(best.rest)
      if (following === undefined) heads.splice(heads.indexOf(best), 1)
      else best.entry = following
    }
  } finally {
    for (const { rest } of heads) await rest.return?.()
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.storedAt === b.storedAt ? a.message.id < b.message.id : a.storedAt < b.storedAt
}

function tellGap(gap: Gap, options: ReplayOptions): void {
  if (options.onGap !== undefined) options.onGap(gap)
  else if (gap.reason !== 'trimmed') {
    throw new BusError('DATA_LOSS', `"${gap.stream}" lacks ${gap.from} to ${gap.to}: ${gap.reason}`, {
      details: { ...gap },
    })
  }
}

async function* newest(
  entries: AsyncIterable<Entry>,
  wanted: (message: Message) => boolean,
  count: number,
): AsyncGenerator<Entry> {
  let kept: Entry[] = []
  for await (const entry of entries) {
    if (!wanted(entry.message)) continue
    kept.push(entry)
    if (kept.length >= 2 * count) kept = kept.slice(-count)
  }
  yield* kept.slice(-count)
}
