import type { Priority } from '../../src/index.ts'

// The messages of the crash tests: everything about message `n` follows from `n`, so that parent, children and checker agree on it.

export const ATTEMPTS = 3
export const RETRY = { attempts: ATTEMPTS, firstDelayMs: 1, factor: 1, jitter: 'none' } as const

/** What each group reads. */
export const PATTERNS: Readonly<Record<string, string>> = { a: 'work.>', b: 'work.>', c: 'work.t0' }

export interface Planned {
  readonly id: string
  readonly topic: string
  readonly session: string | undefined
  readonly priority: Priority
  readonly delayMs: number | undefined
  readonly data: { readonly n: number; readonly text: string }
}

const LANES: readonly Priority[] = ['critical', 'high', 'normal', 'low', 'background']

export function planned(n: number): Planned {
  const session = n % 3 === 0 ? undefined : `s${n % 4}`
  return {
    id: `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`,
    topic: `work.t${n % 2}`,
    session,
    // A session is in order within a lane: here it has one.
    priority: session === undefined ? (LANES[n % 5] as Priority) : 'normal',
    delayMs: session === undefined && n % 13 === 6 ? 25 : undefined,
    data: { n, text: `${n} — ${'√ü'.repeat(n % 17)}` },
  }
}

/** True when the handler of the group fails in every attempt. */
export function isDoomed(group: string, n: number): boolean {
  return n % 11 === (group === 'a' ? 5 : 7)
}

/** True when the handler of the group fails in its first attempt. */
export function failsOnce(group: string, n: number): boolean {
  return !isDoomed(group, n) && n % 7 === (group === 'a' ? 3 : 2)
}

export function wants(group: string, n: number): boolean {
  return PATTERNS[group] === 'work.>' || PATTERNS[group] === planned(n).topic
}
