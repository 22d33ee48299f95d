import { announced, type EventName } from '../bus/announce.ts'
import {
  aFlag,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  texts,
  whole,
} from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { type MessageLog, streamOf } from '../log/log.ts'
import { SYSTEM_ROOT } from '../message/address.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'
import { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts'
import { hear } from './hear.ts'
import { type Hop, pathTo, timelineOf, traceOf } from './query.ts'
import { type Missing, readRecord, type Step } from './step.ts'
import { type JournalOverflow, StepWriter } from './writer.ts'

/** How a journal is kept. */
export interface JournalOptions {
  /** The channel of the log that it is written into. Default `journal`. */
  readonly channel?: string
  /** Keep what was published too. Default false: only what happened to it. */
  readonly data?: boolean
  /** Patterns of the topics that are written down. Default all. */
  readonly topics?: readonly string[]
  /** Milliseconds for which steps are gathered before they are stored together. Default 100. */
  readonly flushMs?: number
  /** Most steps that wait to be stored. Default 10 000. */
  readonly limit?: number
  /** What happens to a step for which there is no room. Default `drop-oldest`; both are counted. */
  readonly overflow?: JournalOverflow
  /** Milliseconds for which steps are kept. Default 7 days. */
  readonly maxAgeMs?: number
  /** Most steps that are kept. Default 1 000 000. */
  readonly maxCount?: number
  /** Milliseconds that `stop` tries to store what is left. Default 5 000. */
  readonly stopMs?: number
  /** The clock; default the real one. A bus with a clock of its own wants its journal on the same. */
  readonly env?: Env
}

/** What a journal has done since it was opened: heard = stored + waiting + dropped + lost. */
export interface JournalStats {
  readonly heard: number
  readonly stored: number
  readonly waiting: number
  /** Steps for which there was no room. */
  readonly dropped: number
  /** Steps that could not be stored. */
  readonly lost: number
  /** Announcements that could not be read, and faults of the log. */
  readonly faults: number
  /** Holes met while reading, other than those of retention. */
  readonly holes: number
}

/** The written record of what happened to the messages of a bus. Ends by `stop` or disposal; what is stored stays. */
export interface Journal extends AsyncDisposable {
  /** The bus whose messages it follows. */
  readonly bus: string
  /** Every step of one message with its times, oldest first; empty for an unknown one. A crash leaves out a handling under way. */
  trace(id: string): Promise<readonly Step[]>
  /** The steps of a task: of its first message and of everything that this one caused. */
  timeline(rootId: string): Promise<readonly Step[]>
  /** Through whose hands a message came: the handlings of its root, of what that caused on the way to it, and its own. */
  path(id: string): Promise<readonly Hop[]>
  /** Counts by agent, topic and hour. Throws INVALID_OPTION, INVALID_TOPIC. */
  evaluate(options?: EvaluateOptions): Promise<Evaluation>
  /** Resolves once everything heard before the call is stored; rejects with what the log says (then it is tried again later). */
  flush(): Promise<void>
  stats(): JournalStats
  /** Hears nothing more and stores what is left, within `stopMs`. Never rejects; calling it twice is fine. */
  stop(): Promise<void>
}

const DAY_MS = 86_400_000
/** Milliseconds between two removals of what is too old or too much. */
const TRIM_MS = 60_000

const RULES: Readonly<Record<string, Rule>> = {
  channel: aText,
  data: aFlag,
  topics: texts,
  flushMs: milliseconds(0),
  limit: whole(1),
  overflow: oneOf(['drop-oldest', 'drop-newest']),
  maxAgeMs: milliseconds(0),
  maxCount: whole(1),
  stopMs: milliseconds(0),
  env: anObject,
}

const EVALUATE_RULES: Readonly<Record<string, Rule>> = { since: whole(0), until: whole(0), agent: aText, topic: aText }

/**
 * Writes down what happens to the messages of the bus of that name (`name` of its options; default `bus`), from now on and in this
 * process. The bus may be opened later. Costs a publish no waiting and no failure: what cannot be stored is counted and announced.
 * The log stays open at the end. Open it before the bus and end it after: what a drain still does is then written too.
 * Throws INVALID_OPTION, INVALID_TOPIC.
 *
 * @example
 * await using log = await sqliteLog('./journal.db')
 * await using journal = openJournal('bus', log, { data: true })
 * await using bus = await openBus('sqlite:./swarm.db')
 * const { id } = await bus.publish('tasks.coding', { title: 'fix auth' }, { until: 'handled' })
 * console.log(await journal.trace(id)) // published, handled, acked
 */
export function openJournal(bus: string, log: MessageLog, options: JournalOptions = {}): Journal {
  checkOption('openJournal', 'bus', bus, aText)
  checkOption('openJournal', 'log', log, anObject)
  checkOptions('openJournal', options, RULES)
  const { channel = 'journal', data = false, flushMs = 100, limit = 10_000, overflow = 'drop-oldest' } = options
  const { maxAgeMs = 7 * DAY_MS, maxCount = 1_000_000, stopMs = 5_000, env = systemEnv() } = options
  const patterns = (options.topics ?? ['>']).map((pattern) => parsePattern(pattern))
  const stream = streamOf(channel, 'steps')
  let faults = 0
  let holes = 0
  let trimmedMs = Number.NEGATIVE_INFINITY
  let stopping: Promise<void> | undefined

  function announce(event: EventName, fields: object): void {
    const to = announced[event]
    if (to.hasSubscribers) to.publish({ bus, journal: channel, ...fields })
  }

  function fault(error: unknown, count = 0): void {
    faults++
    announce('journal.failed', { count, error })
  }

  /** Not by a timer: nothing grows while nothing is written, and an idle journal keeps no process alive. */
  async function retain(): Promise<void> {
    const nowMs = env.monotonicMs()
    if (nowMs - trimmedMs < TRIM_MS) return
    trimmedMs = nowMs
    const storedBefore = Math.max(0, Math.floor(env.wallMs() - maxAgeMs))
    await log.trim(stream, { storedBefore, maxCount }).catch((error: unknown) => fault(error))
  }

  const writer = new StepWriter({
    env,
    log,
    stream,
    limit,
    overflow,
    flushMs,
    dropped: (count) => announce('journal.dropped', { count }),
    failed: (count, error) => fault(error, count),
    written: retain,
  })

  const unhear = hear(bus, {
    env,
    data,
    // What the bus says of itself as messages is announced as well.
    wants: (topic) =>
      !topic.startsWith(`${SYSTEM_ROOT}.`) && patterns.some((pattern) => matchesTokens(pattern, topic.split('.'))),
    heard: (step) => writer.add(step),
    fault,
  })

  async function* read(since: number | undefined): AsyncGenerator<Step | Missing> {
    // What waits belongs to the answer; where it cannot be stored, what is stored is the answer.
    await writer.flush().catch(() => undefined)
    for await (const entry of log.read(stream, since === undefined ? {} : { since })) {
      if (entry.type === 'gap') {
        if (entry.reason !== 'trimmed') holes++
        continue
      }
      const record = readRecord(entry)
      if (record !== undefined) yield record
    }
  }

  async function end(): Promise<void> {
    unhear()
    await writer.end(stopMs)
  }

  function stop(): Promise<void> {
    stopping ??= end()
    return stopping
  }

  function idOf(verb: string, id: string): string {
    checkOption(verb, 'id', id, aText)
    return id
  }

  return {
    bus,
    trace: async (id) => traceOf(read, idOf('trace', id)),
    timeline: async (rootId) => timelineOf(read, idOf('timeline', rootId)),
    path: async (id) => pathTo(read, idOf('path', id)),
    async evaluate(asked = {}) {
      checkOptions('evaluate', asked, EVALUATE_RULES)
      return evaluate(read, asked)
    },
    flush: () => writer.flush(),
    stats() {
      const { heard, stored, waiting, dropped, lost } = writer
      return { heard, stored, waiting, dropped, lost, faults, holes }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
