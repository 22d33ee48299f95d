import type { Handler, Middleware } from '../bus/handler.ts'
import { checkOptions, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { describeThrown } from '../kit/errors.ts'
import { anEnv } from './pause.ts'
import { isFailedResult } from './verdict.ts'
import { watch } from './watch.ts'

/** How one handler fares in one session. */
export interface HandlerStats {
  readonly name: string
  /** Undefined for messages without a session. */
  readonly session: string | undefined
  readonly failureCount: number
  /** Failures since the last success. */
  readonly consecutiveFailures: number
  readonly totalExecutions: number
  /** Failures by executions, from 0 to 1. */
  readonly failureRate: number
  readonly lastFailure: LastFailure | undefined
}

/** The newest failure of a handler. */
export interface LastFailure {
  readonly text: string
  /** Wall-clock milliseconds. */
  readonly time: number
}

/** How much is remembered. */
export interface HandlerStatsOptions {
  /** Most pairs of handler and session; the longest unused goes first. Default 10 000. */
  readonly limit?: number
  readonly env?: Env
}

/** Counts how handlers end, by handler and session. */
export interface HandlerStatsCollector {
  /** Counts what it is put around, under the name of the subscription or agent. */
  readonly middleware: Middleware
  readonly size: number
  get(name: string, session?: string): HandlerStats | undefined
  /** All, or those of one session; the longest unused first. */
  list(session?: string): readonly HandlerStats[]
  /** Forgets a session with all its figures. Returns how many went. */
  forget(session: string): number
}

const RULES: Readonly<Record<string, Rule>> = { limit: whole(1), env: anEnv }

const LONGEST_TEXT = 500

interface Figures {
  readonly name: string
  readonly session: string | undefined
  failures: number
  inRow: number
  total: number
  last: LastFailure | undefined
}

/**
 * Makes a collector. A thrown error, a result whose `success` is false, an abort and a `nack` are failures. A message that still runs
 * when its session is forgotten is not counted any more.
 */
export function handlerStats(options: HandlerStatsOptions = {}): HandlerStatsCollector {
  checkOptions('handlerStats', options, RULES)
  const { limit = 10_000, env = systemEnv() } = options
  const all = new Map<string, Figures>()

  const figuresOf = (name: string, session: string | undefined): Figures => {
    const key = keyOf(name, session)
    const figures = all.get(key) ?? { name, session, failures: 0, inRow: 0, total: 0, last: undefined }
    all.delete(key)
    if (all.size >= limit) {
      const [oldest] = all.keys()
      if (oldest !== undefined) all.delete(oldest)
    }
    all.set(key, figures)
    return figures
  }

  const count = (figures: Figures, failure: unknown, failed: boolean): void => {
    figures.total++
    if (!failed) {
      figures.inRow = 0
      return
    }
    figures.failures++
    figures.inRow++
    figures.last = { text: describeThrown(failure).slice(0, LONGEST_TEXT), time: Math.floor(env.wallMs()) }
  }

  return {
    middleware: (next: Handler): Handler => {
      return (message, context) => {
        const figures = figuresOf(context.name, message.session)
        return watch(next, message, context, (how) => {
          if (how.type === 'done') count(figures, how.value, isFailedResult(how.value))
          else count(figures, how.type === 'failed' ? how.error : undefined, how.type === 'failed')
        })
      }
    },
    get size() {
      return all.size
    },
    get(name, session) {
      const figures = all.get(keyOf(name, session))
      return figures === undefined ? undefined : shownStats(figures)
    },
    list: (session) =>
      [...all.values()].filter((one) => session === undefined || one.session === session).map(shownStats),
    forget(session) {
      const before = all.size
      for (const [key, figures] of all) if (figures.session === session) all.delete(key)
      return before - all.size
    },
  }
}

function keyOf(name: string, session: string | undefined): string {
  return JSON.stringify([name, session ?? null])
}

function shownStats({ name, session, failures, inRow, total, last }: Figures): HandlerStats {
  return {
    name,
    session,
    failureCount: failures,
    consecutiveFailures: inRow,
    totalExecutions: total,
    failureRate: total === 0 ? 0 : failures / total,
    lastFailure: last,
  }
}
