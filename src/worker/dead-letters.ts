import type { EventName } from '../bus/announce.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterList,
  DeadLetters,
  DeathReason,
  RedriveAllOptions,
  RedriveOptions,
} from '../bus/kept-verbs.ts'
import { aFunction, aText, checkOption, checkOptions, oneOf, type Rule, whole } from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { channelOf, type Entry, type MessageLog, streamOf } from '../log/log.ts'
import { agentOf } from '../message/address.ts'
import type { Message } from '../message/message.ts'
import { PRIORITIES, type Priority } from '../message/priority.ts'
import { restoreMessage } from '../message/restore.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'
import { DEAD, DEAD_GROUP } from './channel.ts'
import { readPlace, writePlace } from './places.ts'
import { type DeadRecord, readDeadRecord, type Story, writeStory } from './record.ts'
import { sleepUntil } from './sleep.ts'

const REASONS: readonly DeathReason[] = [
  'handler-error',
  'handler-timeout',
  'nacked',
  'expired',
  'cancelled',
  'rejected',
  'queue-full',
  'agent-unresponsive',
]

const aSignal: Rule = { allowed: 'an AbortSignal', ok: (value) => value instanceof AbortSignal }

const FILTER_RULES: Readonly<Record<string, Rule>> = {
  channel: aText,
  group: aText,
  reason: oneOf(REASONS),
  topic: aText,
  agent: aText,
  session: aText,
  before: whole(0),
  since: whole(0),
}
const LIST_RULES = { ...FILTER_RULES, limit: whole(1), order: oneOf(['newest', 'oldest']) }
const REDRIVE_RULES = { data: { allowed: 'any data', ok: () => true }, priority: oneOf(PRIORITIES) }
const REDRIVE_ALL_RULES = {
  ...FILTER_RULES,
  perSecond: { allowed: 'a number > 0', ok: (value: unknown) => typeof value === 'number' && value > 0 },
  limit: whole(1),
  onProgress: aFunction,
  signal: aSignal,
}

/** What the dead letters of a log need around them. */
export interface DeadLettersHost {
  readonly log: MessageLog
  readonly env: Env
  /** Called when a dead letter was discarded: a halted session may go on. */
  discarded(channel: string, record: DeadRecord, message: Message): void
  announce(event: EventName, fields: object): void
  guard(run: () => void): void
}

interface Found {
  readonly entry: Entry
  readonly record: DeadRecord
}

/** The dead letters of all channels of a log. */
export class LogDeadLetters implements DeadLetters {
  readonly #host: DeadLettersHost
  readonly #watchers = new Set<(letter: DeadLetter) => void>()

  constructor(host: DeadLettersHost) {
    this.#host = host
  }

  async list(options: DeadLetterList = {}): Promise<readonly DeadLetter[]> {
    checkOptions('deadLetters.list', options, LIST_RULES)
    const { limit = 100, order = 'newest' } = options
    const found: DeadLetter[] = []
    for await (const { entry, record } of this.#find(options)) {
      found.push(letterOf(entry, record))
      // A bounded window while reading: the newest come last.
      if (order === 'oldest' && found.length >= limit && options.channel !== undefined) break
      if (found.length > 4 * limit) found.sort(byDeath).splice(order === 'newest' ? 0 : limit, found.length - limit)
    }
    found.sort(byDeath)
    if (order === 'newest') found.reverse()
    return found.slice(0, limit)
  }

  async get(id: string): Promise<DeadLetter> {
    const { entry, record } = await this.#open('get', id)
    return letterOf(entry, record)
  }

  async count(filter: DeadLetterFilter = {}): Promise<number> {
    checkOptions('deadLetters.count', filter, FILTER_RULES)
    let count = 0
    for await (const _ of this.#find(filter)) count++
    return count
  }

  async redrive(id: string, options: RedriveOptions = {}): Promise<void> {
    checkOptions('deadLetters.redrive', options, REDRIVE_RULES)
    const found = await this.#open('redrive', id)
    if (!(await this.#redrive(found, options))) throw unknown('redrive', id)
  }

  async redriveAll(options: RedriveAllOptions = {}): Promise<number> {
    checkOptions('deadLetters.redriveAll', options, REDRIVE_ALL_RULES)
    const { perSecond, limit = Number.POSITIVE_INFINITY, onProgress, signal, ...filter } = options
    const all: string[] = []
    for await (const { entry } of this.#find(filter)) if (all.push(writePlace(entry)) >= limit) break
    let done = 0
    const startMs = this.#host.env.monotonicMs()
    for (const [index, id] of all.entries()) {
      if (signal?.aborted) break
      if (perSecond !== undefined) await sleepUntil(this.#host.env, startMs + (index * 1_000) / perSecond, signal)
      const found = await this.#peek(id)
      if (found !== undefined && (await this.#redrive(found, {}))) done++
      if (onProgress !== undefined) this.#host.guard(() => onProgress(index + 1, all.length))
    }
    return done
  }

  async discard(id: string): Promise<void> {
    const found = await this.#open('discard', id)
    if (!(await this.#discard(found))) throw unknown('discard', id)
  }

  async discardAll(filter: DeadLetterFilter = {}): Promise<number> {
    checkOptions('deadLetters.discardAll', filter, FILTER_RULES)
    const all: Found[] = []
    for await (const found of this.#find(filter)) all.push(found)
    let done = 0
    for (const found of all) if (await this.#discard(found)) done++
    return done
  }

  watch(onDead: (letter: DeadLetter) => void): () => void {
    checkOption('deadLetters.watch', 'onDead', onDead, aFunction)
    const watcher = (letter: DeadLetter): void => onDead(letter)
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Tells the watchers of a message that has just died. */
  tell(channel: string, record: DeadRecord, message: Message): void {
    if (this.#watchers.size === 0) return
    const letter = letterFrom('', channel, record, message)
    for (const watcher of this.#watchers) this.#host.guard(() => watcher(letter))
  }

  /** How many a channel has, without reading them. */
  async open(channel: string): Promise<number> {
    const { log } = this.#host
    const stream = streamOf(channel, DEAD)
    const settled = (await log.groups(stream)).find(({ group }) => group === DEAD_GROUP)
    if (settled !== undefined) return settled.pending + settled.leased + settled.delayed
    return (await log.streams(channel)).find((one) => one.stream === stream)?.count ?? 0
  }

  /**
   * Drops the oldest dead letters of a channel that has more than so many. Resolves to those that went. Counted and chosen by one
   * reading: other processes that do the same at the same time choose the same ones, and each goes once.
   */
  async evictBeyond(channel: string, most: number): Promise<readonly DeadLetter[]> {
    const all: Found[] = []
    for await (const found of this.#find({ channel })) all.push(found)
    const gone: DeadLetter[] = []
    for (const found of all.slice(0, Math.max(0, all.length - most))) {
      const letter = await this.#evict(channel, found)
      if (letter !== undefined) gone.push(letter)
    }
    return gone
  }

  /** Drops the dead letters of a channel that died before a wall-clock time: their time is over. */
  async evictBefore(channel: string, wallMs: number): Promise<void> {
    for await (const found of this.#find({ channel }, wallMs)) {
      const letter = await this.#evict(channel, found)
      if (letter !== undefined) this.#host.announce('dead-letter.evicted', { letter })
    }
  }

  async #evict(channel: string, { entry, record }: Found): Promise<DeadLetter | undefined> {
    if (!(await this.#settle(entry, 'dropped'))) return undefined
    this.#host.discarded(channel, record, entry.message)
    return letterOf(entry, record)
  }

  /** `until`: stored before it, by the clock of the log, which all processes share. */
  async *#find(filter: DeadLetterFilter, until?: number): AsyncGenerator<Found> {
    const pattern = filter.topic === undefined ? undefined : parsePattern(filter.topic)
    const { log } = this.#host
    const names =
      filter.channel === undefined
        ? (await log.streams()).map((one) => one.stream).filter((stream) => stream.endsWith(`/${DEAD}`))
        : [streamOf(filter.channel, DEAD)]
    for (const stream of names) {
      const bounds = until === undefined ? {} : { until }
      for await (const entry of log.read(stream, { openFor: DEAD_GROUP, ...bounds })) {
        if (entry.type === 'gap') continue
        const record = readDeadRecord(entry.note)
        if (record !== undefined && fits(filter, pattern, entry.message, record)) yield { entry, record }
      }
    }
  }

  /** Throws UNKNOWN_DEAD_LETTER. */
  async #open(verb: string, id: string): Promise<Found> {
    checkOption(`deadLetters.${verb}`, 'id', id, aText)
    const found = await this.#peek(id)
    if (found === undefined) throw unknown(verb, id)
    return found
  }

  async #peek(id: string): Promise<Found | undefined> {
    let place: { stream: string; offset: string }
    try {
      place = readPlace(id)
    } catch {
      return undefined
    }
    if (!place.stream.endsWith(`/${DEAD}`)) return undefined
    for await (const entry of this.#host.log.read(place.stream, { from: place.offset, openFor: DEAD_GROUP })) {
      if (entry.type === 'gap') continue
      if (entry.offset !== place.offset) return undefined
      const record = readDeadRecord(entry.note)
      return record === undefined ? undefined : { entry, record }
    }
    return undefined
  }

  async #redrive({ entry, record }: Found, { data, priority }: RedriveOptions): Promise<boolean> {
    // A message that no group had is for all of them.
    const only = record.group === '' ? {} : { only: record.group }
    const story: Story = { attempts: record.attempts, ...only, redriven: (record.redriven ?? 0) + 1 }
    const stream = priority === undefined ? record.stream : streamOf(channelOf(record.stream), priority)
    const along = { stream, note: writeStory(story) }
    const changed = data !== undefined || priority !== undefined || entry.message.expiresAt !== undefined
    const gone = await this.#settle(
      entry,
      'acked',
      changed ? { ...along, message: edited(entry.message, data, priority, this.#host.env) } : along,
    )
    if (gone) this.#announce('dead-letter.redriven', entry, record)
    return gone
  }

  async #discard({ entry, record }: Found): Promise<boolean> {
    const gone = await this.#settle(entry, 'dropped')
    if (gone) {
      this.#host.discarded(channelOf(entry.stream), record, entry.message)
      this.#announce('dead-letter.discarded', entry, record)
    }
    return gone
  }

  #announce(event: 'dead-letter.redriven' | 'dead-letter.discarded', entry: Entry, record: DeadRecord): void {
    this.#host.announce(event, {
      channel: channelOf(entry.stream),
      group: record.group,
      message: entry.message,
      record,
    })
  }

  #settle(entry: Entry, as: 'acked' | 'dropped', along?: Parameters<MessageLog['settle']>[4]): Promise<boolean> {
    return this.#host.log.settle(entry.stream, DEAD_GROUP, entry.offset, as, along)
  }
}

/** The message as it goes back: other data or level, and no time limit, which has passed or was meant for the first way. */
function edited(message: Message, data: unknown, priority: Priority | undefined, env: Env): Message {
  const { expiresAt: _past, ...fields } = message
  const own = data === undefined ? message.data : structuredClone(data)
  return restoreMessage({ ...fields, data: own, priority: priority ?? message.priority }, env)
}

function letterOf(entry: Entry, record: DeadRecord): DeadLetter {
  return letterFrom(writePlace(entry), channelOf(entry.stream), record, entry.message)
}

function letterFrom(id: string, channel: string, record: DeadRecord, message: Message): DeadLetter {
  const { group, reason, error, code, attempts, diedAt, redriven = 0 } = record
  const firstAttemptAt = attempts[0]?.time
  return { id, channel, group, message, reason, error, code, attempts, firstAttemptAt, diedAt, redriven }
}

function fits(
  filter: DeadLetterFilter,
  pattern: readonly string[] | undefined,
  message: Message,
  record: DeadRecord,
): boolean {
  const { group, reason, agent, session, before, since } = filter
  if (group !== undefined && record.group !== group && !record.group.startsWith(`${group}:`)) return false
  if (reason !== undefined && record.reason !== reason) return false
  if (session !== undefined && message.session !== session) return false
  if (agent !== undefined && message.to !== agent && agentOf(message.topic) !== agent) return false
  if (before !== undefined && record.diedAt >= before) return false
  if (since !== undefined && record.diedAt < since) return false
  return pattern === undefined || matchesTokens(pattern, message.topic.split('.'))
}

/** Sorting is stable: what died in the same millisecond stays in the order in which it was stored. */
function byDeath(a: DeadLetter, b: DeadLetter): number {
  return a.diedAt - b.diedAt
}

function unknown(verb: string, id: string): BusError {
  return new BusError('UNKNOWN_DEAD_LETTER', `${verb}: there is no dead letter "${id}"`, { details: { id } })
}
