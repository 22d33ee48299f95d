import type { Env } from './env.ts'

/** How waits between tries grow. */
export interface Backoff {
  /** Milliseconds before the second try. */
  readonly firstMs: number
  /** The longest wait. */
  readonly mostMs: number
}

/** Milliseconds to wait after the `tries`-th try that failed (1 for the first): doubled each time, ±25 %, so that many do not come back at once. */
export function backoffMs(env: Pick<Env, 'random'>, { firstMs, mostMs }: Backoff, tries: number): number {
  const grown = Math.min(mostMs, firstMs * 2 ** Math.min(tries - 1, 30))
  return grown * (0.75 + env.random() / 2)
}
