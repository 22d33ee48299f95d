import {
  RETRY_PRESETS,
  type RetryOptions,
  type RetryPolicy,
  type RetryPreset,
  retryPolicy,
} from '../reliability/retry.ts'

/** The calculation for so many attempts; of listed waits the last one is repeated. */
export function retryUpTo(given: RetryPreset | RetryOptions | undefined): (attempts: number) => RetryPolicy {
  const options = (typeof given === 'string' ? RETRY_PRESETS[given] : given) ?? {}
  const made = new Map<number, RetryPolicy>()
  return (attempts) => {
    let policy = made.get(attempts)
    if (policy === undefined) {
      const { delaysMs } = options
      const last = delaysMs?.at(-1) ?? 0
      policy = retryPolicy(
        delaysMs === undefined
          ? { ...options, attempts }
          : { ...options, delaysMs: Array.from({ length: attempts - 1 }, (_, index) => delaysMs[index] ?? last) },
      )
      made.set(attempts, policy)
    }
    return policy
  }
}
