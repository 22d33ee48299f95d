/** How much is told. */
export interface Level {
  readonly debug: boolean
  readonly info: boolean
  readonly warnings: boolean
  /** What is wrong with the word; undefined when nothing is. */
  readonly unknown: string | undefined
}

const ORDER = ['debug', 'info', 'warning', 'error'] as const
const OTHER: Readonly<Record<string, (typeof ORDER)[number]>> = { warn: 'warning', critical: 'error', fatal: 'error' }

/** The level that a word names, in any case. Nothing is `info`; an unknown word is too, and says so. */
export function levelOf(word: string | undefined): Level {
  const given = (word ?? '').trim().toLowerCase()
  const name = OTHER[given] ?? given
  const found = (ORDER as readonly string[]).indexOf(name)
  const at = found < 0 ? 1 : found
  return {
    debug: at <= 0,
    info: at <= 1,
    warnings: at <= 2,
    unknown: found < 0 && given !== '' ? `WOODWORK_LOG_LEVEL is none of ${ORDER.join(', ')}: info is taken` : undefined,
  }
}
