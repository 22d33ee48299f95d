import type { CortexFields, CortexPlace } from './layout.ts'

/** Why an entry is dead: its attempts failed, it is too old, or it is no message. */
export type DeadReason = 'error' | 'stale' | 'undecodable'

/** What is known of an entry that died. */
export interface DeadEntry extends CortexPlace {
  readonly fields: CortexFields
  readonly attempt: number
  readonly reason: DeadReason
  readonly error: string
  /** Wall-clock milliseconds. */
  readonly diedMs: number
}

const THEIRS = ['id', 'from', 'to', 'priority', 'type', 'payload', 'created']

/**
 * The dead letter as Cortex lays it out, so that its operators list and retry it; with the reason, the place, and in `raw` the whole
 * entry, of which Cortex keeps only a part.
 */
export function deadFields({ stream, entryId, fields, attempt, reason, error, diedMs }: DeadEntry): CortexFields {
  const originals = THEIRS.map((field) => [`original_${field}`, fields[field] ?? (field === 'created' ? '0' : '')])
  return {
    ...(Object.fromEntries(originals) as Record<string, string>),
    error,
    retry_count: String(attempt),
    dead_at: String(Math.floor(diedMs / 1_000)),
    reason,
    stream,
    entry: entryId,
    raw: JSON.stringify(fields),
  }
}
