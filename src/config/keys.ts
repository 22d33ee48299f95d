import type { KeyRule } from '../component/kind.ts'
import { settingFault } from '../component/kinds/settings.ts'
import { Reference, type Setting } from '../component/spec.ts'

/** A value as the rule of its key wants it, or what is wrong with it; the value itself is not shown: it may be a secret. */
export type Fitted = { readonly value: Setting } | { readonly fault: string }

/**
 * Holds a value against the rule of its key. `isVariable`: it came out of the environment, where everything is text; a number or a flag
 * that the text says is taken as such.
 */
export function fitted(value: Setting, rule: KeyRule, isVariable: boolean): Fitted {
  // Older files write their flags as texts.
  const isText = typeof value === 'string' && (isVariable || (rule.type === 'flag' && /^(?:true|false)$/i.test(value)))
  const given = isText ? converted(value, rule.type) : value
  const fault = settingFault(rule, given)
  if (fault === undefined) return { value: given }
  const found = isVariable ? 'what the variable holds' : wordsFor(given)
  return { fault: `${fault}, found ${found}` }
}

/** What a value is, in the words of people. */
export function wordsFor(value: Setting): string {
  if (value === null) return 'null'
  if (value instanceof Reference) return `the name ${value.name}`
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'string':
      return 'a text'
    case 'number':
      return `the number ${value}`
    case 'boolean':
      return String(value)
    default:
      return 'a block'
  }
}

function converted(text: string, type: KeyRule['type']): Setting {
  const trimmed = text.trim()
  const isNumber = /^-?\d+(?:\.\d+)?$/.test(trimmed)
  if ((type === 'number' || type === 'whole' || type === 'duration') && isNumber) return Number(trimmed)
  if (type === 'flag' && /^(?:true|false|1|0|yes|no)$/i.test(trimmed)) return /^(?:true|1|yes)$/i.test(trimmed)
  return text
}
