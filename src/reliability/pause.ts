import type { Rule } from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'

/** The rule of an `env` option. */
export const anEnv: Rule = {
  allowed: 'an Env: clocks, randomness and timers',
  ok: (value) =>
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<Env>).monotonicMs === 'function' &&
    typeof (value as Partial<Env>).after === 'function',
}

/** Why an aborted signal was aborted; CANCELLED when it does not say. */
export function abortReason(signal: AbortSignal): unknown {
  return signal.reason ?? new BusError('CANCELLED', 'the caller gave up')
}

/** Resolves after `ms`; rejects with the reason of the signal as soon as it is aborted. */
export function pause(env: Env, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortReason(signal))
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(abortReason(signal))
    }
    const timer = env.after(ms, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
