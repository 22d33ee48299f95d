import type { Env } from '../kit/env.ts'

/** Resolves at a monotonic time, or as soon as the signal is aborted. */
export async function sleepUntil(env: Env, dueMs: number, signal: AbortSignal | undefined): Promise<void> {
  const leftMs = dueMs - env.monotonicMs()
  if (leftMs <= 0 || signal?.aborted) return
  const waited = Promise.withResolvers<void>()
  const timer = env.after(leftMs, () => waited.resolve())
  const onAbort = (): void => waited.resolve()
  signal?.addEventListener('abort', onAbort, { once: true })
  await waited.promise
  timer.cancel()
  signal?.removeEventListener('abort', onAbort)
}
