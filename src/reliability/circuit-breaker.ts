import type { Handler, Middleware } from '../bus/handler.ts'
import { aFunction, aText, checkOption, checkOptions, milliseconds, oneOf, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { anEnv } from './pause.ts'
import { isFailedResult } from './verdict.ts'
import { watch } from './watch.ts'

/** `closed`: calls pass. `open`: calls are refused. `half-open`: a stated few pass, to see whether it works again. */
export type CircuitState = 'closed' | 'open' | 'half-open'

/** When a circuit opens, and how it closes again. */
export interface CircuitOptions {
  /** Names what it protects, in errors and notices. Default `circuit`. */
  readonly name?: string
  /** Failures in a row that open it. Default 5. */
  readonly failures?: number
  /** Milliseconds it stays open. Default 60 000. */
  readonly restMs?: number
  /** Most calls at once while it is half-open. Default 1. */
  readonly halfOpenCalls?: number
  /** Successes in a row that close a half-open circuit; one failure opens it again. Default 1. */
  readonly successesToClose?: number
  /**
   * Whether an error, or a result whose `success` is false, counts as a failure of what is protected. Default: everything but
   * faults of the input (family `validation`), cancelled calls, and calls that another limit refused before they began.
   */
  readonly isFailure?: (error: unknown) => boolean
  /** Told of each change of state. Whatever it throws is ignored. */
  readonly onChange?: (change: CircuitChange) => void
  readonly env?: Env
}

/** A change of state. */
export interface CircuitChange {
  readonly name: string
  readonly from: CircuitState
  readonly to: CircuitState
}

/** What has passed a circuit since it was made. */
export interface CircuitCounts {
  readonly succeeded: number
  readonly failed: number
  /** Ended, but said nothing about what is protected. */
  readonly ignored: number
  readonly refused: number
  /** How often it opened. */
  readonly opened: number
  /** Failures since the last success, in the present state. */
  readonly inRow: number
  readonly running: number
}

/** Protects one dependency. It refuses with CIRCUIT_OPEN (`details.leftMs`: how long it rests), and drops nothing. */
export interface CircuitBreaker {
  readonly name: string
  readonly state: CircuitState
  /** Milliseconds until an open circuit lets a call through; 0 in the other states. */
  readonly leftMs: number
  readonly counts: CircuitCounts
  /** Around a handler. A refused call never began: `details.started` is false. */
  readonly middleware: Middleware
  /** Around any call. Rejects with what the call rejects with, or CIRCUIT_OPEN without calling it. */
  call<T>(run: () => T | PromiseLike<T>): Promise<T>
  /** Opens it by hand, for `restMs`. */
  open(): void
  /** Closes it by hand. */
  close(): void
}

/** The names of {@link CIRCUIT_PRESETS}. */
export type CircuitPreset = 'provider' | 'persistence' | 'coordinator' | 'tool' | 'default' | 'executor'

/** The circuits of zejzl. */
export const CIRCUIT_PRESETS: Readonly<Record<CircuitPreset, CircuitOptions>> = {
  provider: { failures: 3, restMs: 30_000 },
  persistence: { failures: 5, restMs: 60_000 },
  coordinator: { failures: 2, restMs: 15_000 },
  tool: { failures: 3, restMs: 45_000 },
  default: { failures: 5, restMs: 60_000 },
  executor: { failures: 5, restMs: 60_000, successesToClose: 3 },
}

/** The rules of {@link CircuitOptions}, for options that contain them. */
export const CIRCUIT_RULES: Readonly<Record<string, Rule>> = {
  name: aText,
  failures: whole(1),
  restMs: milliseconds(1),
  halfOpenCalls: whole(1),
  successesToClose: whole(1),
  isFailure: aFunction,
  onChange: aFunction,
  env: anEnv,
}

/** The options of a preset. Throws INVALID_OPTION for a name that does not exist. */
export function circuitPreset(name: CircuitPreset): CircuitOptions {
  checkOption('circuitPreset', 'name', name, oneOf(Object.keys(CIRCUIT_PRESETS)))
  return CIRCUIT_PRESETS[name]
}

function isFailureByDefault(error: unknown): boolean {
  if (!isBusError(error)) return true
  return error.family !== 'validation' && error.code !== 'CANCELLED' && error.details.started !== false
}

/** A call that was let through. */
interface Pass {
  /** The state in which it began; what it says is heard only as long as that lasts. */
  readonly era: number
  readonly startedMs: number
}

/** Makes a circuit breaker, closed. Throws INVALID_OPTION. */
export function circuitBreaker(options: CircuitOptions = {}): CircuitBreaker {
  checkOptions('circuitBreaker', options, CIRCUIT_RULES)
  const { name = 'circuit', failures = 5, restMs = 60_000, halfOpenCalls = 1, successesToClose = 1 } = options
  const { isFailure = isFailureByDefault, onChange, env = systemEnv() } = options
  const counts = { succeeded: 0, failed: 0, ignored: 0, refused: 0, opened: 0 }
  let state: CircuitState = 'closed'
  let era = 0
  let openedMs = 0
  /** Failures, or in the half-open state successes, in a row. */
  let inRow = 0
  let running = 0
  const probes = new Set<Pass>()

  const change = (to: CircuitState): void => {
    const from = state
    state = to
    era++
    inRow = 0
    probes.clear()
    if (to === 'open') {
      openedMs = env.monotonicMs()
      counts.opened++
    }
    if (from === to) return
    try {
      onChange?.({ name, from, to })
    } catch {
      // A listener that throws must not decide about the circuit.
    }
  }

  const leftMs = (): number => (state === 'open' ? Math.max(0, openedMs + restMs - env.monotonicMs()) : 0)

  /** A probe that hangs says that it does not work: it would hold the circuit half-open for ever. */
  const expireProbes = (): void => {
    const nowMs = env.monotonicMs()
    for (const probe of probes) {
      if (nowMs - probe.startedMs < restMs) continue
      change('open')
      return
    }
  }

  const enter = (isHandler: boolean): Pass => {
    if (state === 'open' && leftMs() === 0) change('half-open')
    if (state === 'half-open' && probes.size >= halfOpenCalls) expireProbes()
    if (state === 'open' || (state === 'half-open' && probes.size >= halfOpenCalls)) {
      counts.refused++
      const details = { name, leftMs: leftMs(), state, ...(isHandler ? { started: false } : {}) }
      throw new BusError('CIRCUIT_OPEN', `circuit "${name}" is ${state}`, { details })
    }
    const pass = { era, startedMs: env.monotonicMs() }
    running++
    if (state === 'half-open') probes.add(pass)
    return pass
  }

  const leave = (pass: Pass, says: 'succeeded' | 'failed' | 'ignored'): void => {
    running--
    counts[says]++
    if (pass.era !== era) return
    probes.delete(pass)
    if (says === 'ignored') return
    if (state === 'half-open') {
      if (says === 'failed') change('open')
      else if (++inRow >= successesToClose) change('closed')
    } else if (says === 'succeeded') inRow = 0
    else if (++inRow >= failures) change('open')
  }

  const verdictOf = (error: unknown): 'failed' | 'ignored' => {
    try {
      return isFailure(error) ? 'failed' : 'ignored'
    } catch {
      return 'failed'
    }
  }
  const resultVerdict = (result: unknown): 'succeeded' | 'failed' | 'ignored' =>
    isFailedResult(result) ? verdictOf(result) : 'succeeded'

  return {
    name,
    get state() {
      return state === 'open' && leftMs() === 0 ? 'half-open' : state
    },
    get leftMs() {
      return leftMs()
    },
    get counts() {
      return { ...counts, inRow: state === 'closed' ? inRow : 0, running }
    },
    middleware: (next: Handler): Handler => {
      return (message, context) => {
        const pass = enter(true)
        return watch(next, message, context, (how) => {
          if (how.type === 'done') leave(pass, resultVerdict(how.value))
          else leave(pass, how.type === 'failed' ? verdictOf(how.error) : 'ignored')
        })
      }
    },
    async call<T>(run: () => T | PromiseLike<T>): Promise<T> {
      const pass = enter(false)
      let result: T
      try {
        result = await run()
      } catch (error) {
        leave(pass, verdictOf(error))
        throw error
      }
      leave(pass, resultVerdict(result))
      return result
    },
    open: () => change('open'),
    close: () => change('closed'),
  }
}
