import { BusError } from '../../kit/errors.ts'
import type { KeyRule, KindDefinition } from '../kind.ts'
import { type ComponentSpec, Reference, type Setting } from '../spec.ts'

/** The settings of one component, read by the rules of its kind: a wrong one throws CONFIG_INVALID, naming component, key and what is allowed. */
export interface Settings {
  text(key: string): string | undefined
  number(key: string): number | undefined
  flag(key: string): boolean
  /** A list of texts; one text is a list of one. */
  texts(key: string): readonly string[]
  list(key: string): readonly Setting[]
  block(key: string): Readonly<Record<string, Setting>>
  /** The name of a component. */
  name(key: string): string | undefined
  /** Names of components; one is a list of one. */
  names(key: string): readonly string[]
  /** A duration in milliseconds. */
  ms(key: string): number | undefined
  /** CONFIG_INVALID for this component. */
  fault(text: string): BusError
}

/** Reads the settings of a component; a required key that is missing throws here. */
export function settingsOf(spec: ComponentSpec, { kind, keys }: Pick<KindDefinition, 'kind' | 'keys'>): Settings {
  const fault = (text: string): BusError =>
    new BusError('CONFIG_INVALID', `"${spec.name}" (${kind}): ${text}`, {
      details: { component: spec.name, kind, ...(spec.place === undefined ? {} : { place: spec.place }) },
    })

  for (const [key, rule] of Object.entries(keys)) {
    const value = Object.hasOwn(spec.settings, key) ? spec.settings[key] : undefined
    if (value === undefined || value === null) {
      const isNeeded =
        rule.required === true && !(rule.unless !== undefined && Object.hasOwn(spec.settings, rule.unless))
      if (isNeeded) throw fault(`"${key}" is missing: ${rule.summary}`)
      continue
    }
    const wrong = settingFault(rule, value)
    if (wrong !== undefined) throw fault(`"${key}" ${wrong}`)
  }

  function value(key: string): Setting | undefined {
    const given = Object.hasOwn(spec.settings, key) ? spec.settings[key] : undefined
    return given ?? keys[key]?.default
  }

  function list(key: string): readonly Setting[] {
    const found = value(key)
    if (found === undefined || found === null) return []
    return Array.isArray(found) ? (found as readonly Setting[]) : [found]
  }

  return Object.freeze({
    text(key: string) {
      const found = value(key)
      return found === undefined || found === null ? undefined : String(found)
    },
    number(key: string) {
      const found = value(key)
      return typeof found === 'number' ? found : undefined
    },
    flag: (key: string) => value(key) === true,
    texts: (key: string) => list(key).map(String),
    list,
    block(key: string) {
      const found = value(key)
      return isBlock(found) ? found : {}
    },
    name(key: string) {
      const found = value(key)
      return found === undefined || found === null ? undefined : String(found)
    },
    names: (key: string) => list(key).map(String),
    ms(key: string) {
      const found = value(key)
      return found === undefined ? undefined : durationMs(found)
    },
    fault,
  })
}

/** True for a block without a kind of its own. */
export function isBlock(value: Setting | undefined): value is Readonly<Record<string, Setting>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Reference)
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Seconds as a number, or `500ms`, `30s`, `5m`, `2h`, `1d`, in milliseconds; undefined for anything else. */
export function durationMs(value: Setting): number | undefined {
  if (typeof value === 'number') return value >= 0 && Number.isFinite(value) ? value * 1_000 : undefined
  if (typeof value !== 'string') return undefined
  const parts = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*$/.exec(value)
  return parts === null ? undefined : Number(parts[1]) * (UNITS[parts[2] ?? 's'] as number)
}

/** What is wrong with the value of a setting, as the end of a sentence; undefined when nothing is. Never shows the value. */
export function settingFault(rule: KeyRule, value: Setting): string | undefined {
  const form = formFault(rule, value)
  if (form !== undefined) return form
  if (rule.allowed !== undefined && typeof value === 'string' && !rule.allowed.includes(value)) {
    return `must be one of ${rule.allowed.map((one) => `"${one}"`).join(', ')}`
  }
  const size = rule.type === 'duration' ? (durationMs(value) as number) / 1_000 : value
  if (typeof size !== 'number') return undefined
  if (rule.min !== undefined && size < rule.min) return `must be at least ${rule.min}`
  if (rule.max !== undefined && size > rule.max) return `must be at most ${rule.max}`
  return undefined
}

const isName = (value: Setting): boolean => value instanceof Reference || (typeof value === 'string' && value !== '')

function formFault({ type }: KeyRule, value: Setting): string | undefined {
  switch (type) {
    case 'text':
      return typeof value === 'string' ? undefined : 'must be a text'
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? undefined : 'must be a number'
    case 'whole':
      return Number.isSafeInteger(value) ? undefined : 'must be a whole number'
    case 'flag':
      return typeof value === 'boolean' ? undefined : 'must be true or false'
    case 'list':
      return Array.isArray(value) ? undefined : 'must be a list'
    case 'texts': {
      const isFine =
        typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
      return isFine ? undefined : 'must be a text or a list of texts'
    }
    case 'block':
      return isBlock(value) ? undefined : 'must be a block'
    case 'reference':
      return isName(value) ? undefined : 'must be the name of a component'
    case 'references':
      return isName(value) || (Array.isArray(value) && value.every(isName))
        ? undefined
        : 'must be a name or a list of names of components'
    case 'duration':
      return durationMs(value) === undefined ? 'must be seconds, or a text such as "30s"' : undefined
    case 'any':
      return undefined
    default:
      return type satisfies never
  }
}
