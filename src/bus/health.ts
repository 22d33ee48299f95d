import type { AckLevel } from '../log/log.ts'
import type { Core } from './core.ts'
import type { KeptFigures } from './kept.ts'

/** How a bus feels, with the reasons. */
export interface BusHealth {
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  readonly reasons: readonly string[]
  /** Failed deliveries within the health window. */
  readonly recentFailures: number
  /** Of the deliveries settled within the window, the share that was handled: 0 to 1. */
  readonly successRate: number
  readonly windowMs: number
  /** For a bus with a log: what it is, what its messages survive, and whether it does what it should. */
  readonly backend: BackendHealth | undefined
}

/** The state of the log under a bus. */
export interface BackendHealth {
  readonly name: string
  readonly level: AckLevel
  readonly state: 'good' | 'failing'
  readonly deadLetters: number
}

/**
 * Unhealthy: not running, more failures within the window than `healthFailures`, more dead letters than `healthDeadLetters` of `openBus`, or a log
 * that fails whoever reads it. Degraded: a broker or the wire cannot be reached, a queue is full, or handlers use up their limit. Failures are counted in a sliding window, so
 * a bus recovers.
 */
export function busHealth(core: Core, fullQueues: readonly string[]): BusHealth {
  const nowMs = core.clock.readMs()
  const { healthFailures, healthWindowMs: windowMs } = core.options
  const recentFailures = core.failed.total(nowMs)
  const grave: string[] = []
  const mild: string[] = []
  if (core.state !== 'running') grave.push(`the bus is ${core.state}`)
  if (recentFailures > healthFailures) {
    grave.push(`${recentFailures} deliveries failed within ${windowMs / 1_000} s (allowed: ${healthFailures})`)
  }
  const kept = core.keeper?.figures()
  if (kept !== undefined && kept.deadLetters > kept.deadLettersAllowed) {
    grave.push(`${kept.deadLetters} dead letters wait for somebody (allowed: ${kept.deadLettersAllowed})`)
  }
  grave.push(...(kept?.faults ?? []))
  if (kept?.down !== undefined) mild.push(`there is no connection to the broker: ${kept.down}`)
  for (const name of fullQueues) mild.push(`the queue of "${name}" is full`)
  const wire = core.far?.figures()
  if (wire?.connected === false)
    mild.push(`the wire "${wire.wire}" is not connected: other processes cannot be reached`)
  const { active, limit } = core.pump.figures()
  if (active >= limit) mild.push(`all ${limit} allowed handlers are running`)
  const status = grave.length > 0 ? 'unhealthy' : mild.length > 0 ? 'degraded' : 'healthy'
  return {
    status,
    reasons: [...grave, ...mild],
    recentFailures,
    successRate: core.successRate(nowMs),
    windowMs,
    backend: kept === undefined ? undefined : backendOf(kept),
  }
}

function backendOf({ log: name, level, deadLetters, faults, down }: KeptFigures): BackendHealth {
  return { name, level, deadLetters, state: faults.length > 0 || down !== undefined ? 'failing' : 'good' }
}
