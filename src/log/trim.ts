import type { BusError } from '../kit/errors.ts'
import { numberOf } from './checks.ts'
import type { Desk, Office } from './desk.ts'
import type { TrimOptions } from './log.ts'
import { PlainStep } from './steps.ts'
import type { Store } from './store.ts'
import type { StreamState } from './streams.ts'

/** Removes from the front of a stream what any of the options allows, but nothing that a group has not settled. Returns how many. */
export async function trimStream(
  { store, committer }: Pick<Office, 'store' | 'committer'>,
  stream: StreamState | undefined,
  desks: () => readonly Desk[],
  options: TrimOptions,
): Promise<number> {
  if (stream === undefined) return 0
  const wanted = await wantedBefore(store, stream, options)
  const outcome = Promise.withResolvers<number>()
  let first = 0
  let removed = 0
  const step = new PlainStep(
    () => {
      // Asked right before the commit: whoever joined meanwhile is respected, and whoever joins later finds the new beginning.
      const before = Math.min(wanted, stream.next, ...desks().map(({ state }) => state.oldestOpen()))
      if (before <= stream.first) return undefined
      first = stream.first
      const count = stream.count()
      stream.first = before
      removed = count - stream.count()
      return { type: 'trim', stream: stream.name, before }
    },
    (error: BusError) => {
      stream.first = first
      outcome.reject(error)
    },
  )
  committer.alone(step)
  const kept = step.outcome.then(async (done) => {
    if (!done) return 0
    stream.bytes = await store.bytes(stream.name)
    return removed
  })
  return Promise.race([kept, outcome.promise])
}

async function wantedBefore(store: Store, stream: StreamState, options: TrimOptions): Promise<number> {
  const { before, maxCount, maxBytes, storedBefore } = options
  const { name } = stream
  let wanted = before === undefined ? 0 : (numberOf(before) as number)
  if (maxCount !== undefined) wanted = Math.max(wanted, stream.next - maxCount)
  if (maxBytes !== undefined) wanted = Math.max(wanted, await store.newest(name, maxBytes))
  if (storedBefore !== undefined) wanted = Math.max(wanted, await store.since(name, storedBefore))
  return wanted
}
