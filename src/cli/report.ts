import { channelOf } from '../log/log.ts'
import type { Kept } from './open.ts'

/** What happened in the log since a time, as far as the log itself still tells. */
export interface Report {
  /** UTC. */
  readonly since: string
  readonly published: number
  /** True when retention, or `trim`, has removed messages that may be of that time. */
  readonly atLeast: boolean
  readonly byChannel: Readonly<Record<string, number>>
  readonly byLane: Readonly<Record<string, number>>
  /** Dead letters of that time that are still there, by reason. */
  readonly died: Readonly<Record<string, number>>
}

/**
 * Reads what was stored at or after a wall-clock time. When something was handled is not kept, so nothing is said of it. Ends early,
 * with what was counted, when the signal is aborted.
 */
export async function reportOf(
  { bus, log }: Kept,
  since: number,
  signal: AbortSignal,
  onProgress: (count: number) => void,
): Promise<Report> {
  const byChannel: Record<string, number> = {}
  const byLane: Record<string, number> = {}
  let [published, atLeast] = [0, false]
  for (const { stream } of await log.streams()) {
    const channel = channelOf(stream)
    const lane = stream.slice(channel.length + 1)
    if (lane === 'dead') continue
    for await (const entry of log.read(stream, { since, signal })) {
      if (entry.type === 'gap') atLeast = true
      else {
        published++
        byChannel[channel] = (byChannel[channel] ?? 0) + 1
        byLane[lane] = (byLane[lane] ?? 0) + 1
        onProgress(published)
      }
    }
  }
  const died: Record<string, number> = {}
  const letters = await bus.deadLetters.list({ since, limit: Number.MAX_SAFE_INTEGER })
  for (const { reason } of letters) died[reason] = (died[reason] ?? 0) + 1
  return { since: new Date(since).toISOString(), published, atLeast, byChannel, byLane, died }
}
