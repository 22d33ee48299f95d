import { checkOption, checkOptions, milliseconds, oneOf, type Rule, whole } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'

/** How waits are spread: not at all · uniformly from 0 to the wait · uniformly within ±25 % of it. */
export type Jitter = 'none' | 'full' | 'quarter'

/** How often something is tried, and how long is waited in between. */
export interface RetryOptions {
  /** All attempts, the first one included; 1 for no retry. Default 4. */
  readonly attempts?: number
  /** Milliseconds from the first failure to the second attempt. Default 1 000. */
  readonly firstDelayMs?: number
  /** Each wait is so many times the one before. Default 2. */
  readonly factor?: number
  /** No wait is longer, jitter included. Default 60 000. */
  readonly capMs?: number
  /** Default `quarter`; `none` for waits that are listed. */
  readonly jitter?: Jitter
  /** The waits one by one, instead of `attempts`, `firstDelayMs`, `factor` and `capMs`: one attempt more than there are waits. */
  readonly delaysMs?: readonly number[]
}

/** Retry as a calculation: it waits for nothing and remembers nothing. */
export interface RetryPolicy {
  /** All attempts, the first one included. */
  readonly attempts: number
  /**
   * Milliseconds to wait, counted from the last failure, after so many failed attempts (1, 2 …); undefined when there is to be no
   * further attempt. A count that is no number ends the retries. `random` gives numbers in [0, 1).
   */
  delayMs(failedAttempts: number, random: () => number): number | undefined
}

/** The names of {@link RETRY_PRESETS}. */
export type RetryPreset = 'zejzl' | 'zejzl-executor' | 'woodwork' | 'cortex' | 'llmgine' | 'veritas'

/** How the five united systems retried. */
export const RETRY_PRESETS: Readonly<Record<RetryPreset, RetryOptions>> = {
  zejzl: { attempts: 3, firstDelayMs: 1_000, factor: 2, capMs: 60_000, jitter: 'none' },
  'zejzl-executor': { attempts: 5, firstDelayMs: 1_000, factor: 2, capMs: 60_000, jitter: 'quarter' },
  woodwork: { attempts: 4, firstDelayMs: 2_000, factor: 2, capMs: 60_000, jitter: 'none' },
  cortex: { delaysMs: [5_000, 15_000], jitter: 'none' },
  llmgine: { attempts: 4, firstDelayMs: 100, factor: 2, capMs: 10_000, jitter: 'full' },
  veritas: { attempts: 4, firstDelayMs: 100, factor: 2, capMs: 10_000, jitter: 'quarter' },
}

const aFactor: Rule = {
  allowed: 'a number from 1 to 1000',
  ok: (value) => typeof value === 'number' && value >= 1 && value <= 1_000,
}

const oneWait = milliseconds(0)

const waits: Rule = {
  allowed: 'a list of at most 1000 waits, each in milliseconds ≥ 0',
  ok: (value) => Array.isArray(value) && value.length <= 1_000 && value.every((wait) => oneWait.ok(wait)),
}

/** The rules of {@link RetryOptions}, for options that contain them. */
export const RETRY_RULES: Readonly<Record<string, Rule>> = {
  attempts: whole(1, 1_000),
  firstDelayMs: milliseconds(0),
  factor: aFactor,
  capMs: milliseconds(0),
  jitter: oneOf(['none', 'full', 'quarter']),
  delaysMs: waits,
}

const CALCULATED = ['attempts', 'firstDelayMs', 'factor', 'capMs'] as const

/** The options of a preset. Throws INVALID_OPTION for a name that does not exist. */
export function retryPreset(name: RetryPreset): RetryOptions {
  checkOption('retryPreset', 'name', name, oneOf(Object.keys(RETRY_PRESETS)))
  return RETRY_PRESETS[name]
}

/** Picks the retry options out of options that contain them. */
export function retryPart(options: RetryOptions): RetryOptions {
  const { attempts, firstDelayMs, factor, capMs, jitter, delaysMs } = options
  return { attempts, firstDelayMs, factor, capMs, jitter, delaysMs } as RetryOptions
}

/** Makes the calculation. Throws INVALID_OPTION, also for `delaysMs` beside options that it replaces. */
export function retryPolicy(options: RetryOptions = {}): RetryPolicy {
  checkOptions('retryPolicy', options, RETRY_RULES)
  return options.delaysMs === undefined ? calculated(options) : listed(options, options.delaysMs)
}

function calculated(options: RetryOptions): RetryPolicy {
  const { attempts = 4, firstDelayMs = 1_000, factor = 2, capMs = 60_000, jitter = 'quarter' } = options
  return {
    attempts,
    delayMs(failedAttempts, random) {
      // Written so that a damaged count (NaN) ends in the dead letters instead of being retried for ever.
      if (!(failedAttempts < attempts)) return undefined
      if (firstDelayMs === 0) return 0
      const plainMs = Math.min(capMs, firstDelayMs * factor ** Math.max(0, failedAttempts - 1))
      return spread(plainMs, capMs, jitter, random)
    },
  }
}

function listed(options: RetryOptions, delaysMs: readonly number[]): RetryPolicy {
  for (const field of CALCULATED) {
    if (options[field] === undefined) continue
    throw new BusError(
      'INVALID_OPTION',
      `retryPolicy: "${field}" does not go with "delaysMs", which lists every wait`,
      {
        details: { owner: 'retryPolicy', field, value: options[field], allowed: 'nothing beside "delaysMs"' },
      },
    )
  }
  const { jitter = 'none' } = options
  const list = [...delaysMs]
  return {
    attempts: list.length + 1,
    delayMs(failedAttempts, random) {
      if (!(failedAttempts <= list.length)) return undefined
      const plainMs = list[Math.max(1, Math.floor(failedAttempts)) - 1] ?? 0
      return spread(plainMs, Number.POSITIVE_INFINITY, jitter, random)
    },
  }
}

function spread(plainMs: number, capMs: number, jitter: Jitter, random: () => number): number {
  switch (jitter) {
    case 'none':
      return plainMs
    case 'full':
      return plainMs * random()
    case 'quarter': {
      const ms = plainMs * (0.75 + 0.5 * random())
      // Mirrored at the cap, not cut: cut waits would all be equal again, and meet.
      return ms <= capMs ? ms : 2 * capMs - ms
    }
    default:
      return jitter satisfies never
  }
}
