import type { Priority } from '../message/priority.ts'
import type { Queue } from './queue.ts'

/** Handled messages by level. */
export type HandledByLevel = Readonly<Record<Priority, number>>

export function handledBy(queue: Queue): HandledByLevel {
  const { handledNormal, handledByLane } = queue.handled
  const [critical = 0, high = 0, , low = 0, background = 0] = handledByLane ?? []
  const normal = handledNormal + (handledByLane?.[2] ?? 0)
  return { critical, high, normal, low, background }
}

/** Wall-clock milliseconds of the last handled message; undefined before the first. */
export function lastHandled(queue: Queue): number | undefined {
  const { lastHandledMs } = queue.handled
  return lastHandledMs < 0 ? undefined : queue.clock.wallMs(lastHandledMs)
}
