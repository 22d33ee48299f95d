import type { GroupInfo } from '../log.ts'
import type { Group } from './group.ts'

/** The balance of a group at `now` and `wall`, which may lie ahead of the newest record. What is set aside for a consumer is pending. */
export function figuresOf({ counts, total, stale, slots, part, name }: Group, now: number, wall: number): GroupInfo {
  let leased = 0
  let delayed = 0
  for (const slot of slots.values()) {
    const waits = slot.dueMs > now && slot.dueAt > wall
    if (slot.state === 'leased') {
      if (slot.held && waits) delayed++
      else leased++
    } else if (slot.state === 'delayed' && waits) delayed++
  }
  const published = total - counts.skipped
  const settled = counts.acked + counts.dead + counts.expired + counts.dropped
  const pending = published - settled - leased - delayed
  return { stream: part.stream, group: name, ...counts, published, pending, leased, delayed, stale }
}
