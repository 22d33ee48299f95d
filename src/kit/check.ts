import { BusError } from './errors.ts'

/** What an option may be; `allowed` is the text that an error shows. */
export interface Rule {
  readonly allowed: string
  ok(value: unknown): boolean
}

/** A whole number within bounds, both included. */
export function whole(min: number, max: number = Number.MAX_SAFE_INTEGER): Rule {
  const upper = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`
  return {
    allowed: `a whole number ${upper ? 'from ' : '≥ '}${min}${upper}`,
    ok: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  }
}

/** A whole number within bounds, or `Infinity` for no limit. */
export function wholeOrInfinity(min: number): Rule {
  return {
    allowed: `a whole number ≥ ${min}, or Infinity`,
    ok: (value) => value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) >= min),
  }
}

/** A number of milliseconds: finite, at least `min`; fractions allowed. */
export function milliseconds(min: number): Rule {
  return {
    allowed: `milliseconds ≥ ${min}`,
    ok: (value) => typeof value === 'number' && Number.isFinite(value) && value >= min,
  }
}

/** A share above `min` (excluded) and up to 1. */
export function share(min: number = 0): Rule {
  return {
    allowed: `a number above ${min} and up to 1`,
    ok: (value) => typeof value === 'number' && value > min && value <= 1,
  }
}

/** One of the listed words. */
export function oneOf(words: readonly string[]): Rule {
  return {
    allowed: words.map((word) => `"${word}"`).join(', '),
    ok: (value) => typeof value === 'string' && words.includes(value),
  }
}

/** `true` or `false`. */
export const aFlag: Rule = { allowed: 'true or false', ok: (value) => typeof value === 'boolean' }
/** A function. */
export const aFunction: Rule = { allowed: 'a function', ok: (value) => typeof value === 'function' }
/** A text that is not empty. */
export const aText: Rule = { allowed: 'a non-empty text', ok: (value) => typeof value === 'string' && value !== '' }
/** An object; lists count. */
export const anObject: Rule = { allowed: 'an object', ok: (value) => typeof value === 'object' && value !== null }
/** A list of texts that are not empty. */
export const texts: Rule = {
  allowed: 'a list of non-empty texts',
  ok: (value) => Array.isArray(value) && value.every(aText.ok),
}

/** A short, safe picture of a wrong value for an error text. Never throws. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `"${value.slice(0, 57)}…"` : `"${value}"`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  try {
    return Array.isArray(value) ? 'a list' : 'an object'
  } catch {
    // A revoked Proxy throws when it is asked.
    return 'an object'
  }
}

/** Throws INVALID_OPTION, naming field, value and allowed range, unless the value fits the rule. */
export function checkOption(owner: string, field: string, value: unknown, rule: Rule): void {
  if (rule.ok(value)) return
  throw new BusError('INVALID_OPTION', `${owner}: "${field}" is ${shown(value)}; allowed: ${rule.allowed}`, {
    details: { owner, field, value: shown(value), allowed: rule.allowed },
  })
}

/**
 * Checks every given option against its rule; `undefined` counts as not given.
 * Throws INVALID_OPTION for a wrong value, or for a name that is not in the table (with the nearest names).
 */
export function checkOptions(owner: string, options: object, rules: Readonly<Record<string, Rule>>): void {
  if (typeof options !== 'object' || options === null) checkOption(owner, 'options', options, anObject)
  for (const field in options) {
    const rule = Object.hasOwn(rules, field) ? rules[field] : undefined
    if (rule === undefined) {
      const known = Object.keys(rules).sort().join(', ')
      throw new BusError('INVALID_OPTION', `${owner}: there is no option "${field}"; there are: ${known}`, {
        details: { owner, field, allowed: known },
      })
    }
    const value = (options as Record<string, unknown>)[field]
    if (value !== undefined) checkOption(owner, field, value, rule)
  }
}
