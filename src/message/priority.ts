/** The five levels, highest first. */
export const PRIORITIES = ['critical', 'high', 'normal', 'low', 'background'] as const

/** How urgent a message is. */
export type Priority = (typeof PRIORITIES)[number]

/** Lane numbers by level: 0 is served first. */
export const LANE_OF: Readonly<Record<Priority, number>> = { critical: 0, high: 1, normal: 2, low: 3, background: 4 }

/** How many lanes there are. */
export const LANE_COUNT = PRIORITIES.length

/** The lane of a level; that of normal for anything else. */
export function laneOf(priority: Priority): number {
  return LANE_OF[priority] ?? 2
}

/** True for one of the five level names. */
export function isPriority(value: unknown): value is Priority {
  return typeof value === 'string' && Object.hasOwn(LANE_OF, value)
}

const OTHER_NAMES: Readonly<Record<string, Priority>> = {
  urgent: 'critical',
  error: 'critical',
  alert: 'critical',
  warning: 'high',
  debug: 'low',
  heartbeat: 'background',
}

/**
 * The level for a name or number of another system: the five names in any case; `urgent`, `error`, `alert` (critical), `warning`
 * (high), `debug` (low), `heartbeat` (background); the numbers 0 (critical) to 4 (background). Anything else is normal.
 */
export function priorityFrom(value: unknown): Priority {
  if (typeof value === 'number') return PRIORITIES[value] ?? 'normal'
  if (typeof value !== 'string') return 'normal'
  const name = value.toLowerCase()
  if (isPriority(name)) return name
  return Object.hasOwn(OTHER_NAMES, name) ? (OTHER_NAMES[name] as Priority) : 'normal'
}
