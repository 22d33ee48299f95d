import type { SchemaIssue, SchemaResult, StandardSchema } from '../message/contract.ts'

/** One field of a payload. */
export interface Field {
  readonly type: 'text' | 'number' | 'whole' | 'flag' | 'object' | 'list' | 'any'
  /** Default true: the payload must have it, unless it has a default. */
  readonly required?: boolean
  readonly default?: unknown
  readonly min?: number
  readonly max?: number
  /** The only values. */
  readonly allowed?: readonly (string | number)[]
}

/** The fields of a payload by name; others are kept as they are. */
export type Fields = Readonly<Record<string, Field>>

const SHOWN: Readonly<Record<Field['type'], string>> = {
  text: 'a text',
  number: 'a number',
  whole: 'a whole number',
  flag: 'true or false',
  object: 'an object',
  list: 'a list',
  any: 'a value',
}

const JSON_TYPES: Readonly<Record<Field['type'], string | undefined>> = {
  text: 'string',
  number: 'number',
  whole: 'integer',
  flag: 'boolean',
  object: 'object',
  list: 'array',
  any: undefined,
}

/** A Standard Schema of fields. */
export function fieldsSchema(fields: Fields): StandardSchema {
  return { '~standard': { version: 1, vendor: 'swarmbus', validate: (value) => check(fields, value) } }
}

function check(fields: Fields, value: unknown): SchemaResult<unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { issues: [{ message: `expected an object, found ${found(value)}` }] }
  }
  const given = value as Readonly<Record<string, unknown>>
  const issues: SchemaIssue[] = []
  const defaults: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    const own = Object.hasOwn(given, name) ? given[name] : undefined
    if (own !== undefined) {
      const fault = faultOf(field, own)
      if (fault !== undefined) issues.push({ message: fault, path: [name] })
    } else if (field.default !== undefined) defaults[name] = field.default
    else if (field.required !== false)
      issues.push({ message: `expected ${SHOWN[field.type]}, found nothing`, path: [name] })
  }
  if (issues.length > 0) return { issues }
  return { value: Object.keys(defaults).length === 0 ? value : { ...given, ...defaults } }
}

function faultOf({ type, min, max, allowed }: Field, value: unknown): string | undefined {
  if (!fits(type, value)) return `expected ${SHOWN[type]}, found ${found(value)}`
  if (allowed !== undefined && !allowed.includes(value as string)) return `expected one of ${allowed.join(', ')}`
  if (typeof value !== 'number') return undefined
  if (min !== undefined && value < min) return `expected at least ${min}, found ${value}`
  return max !== undefined && value > max ? `expected at most ${max}, found ${value}` : undefined
}

function fits(type: Field['type'], value: unknown): boolean {
  switch (type) {
    case 'text':
      return typeof value === 'string'
    case 'number':
      return typeof value === 'number' && Number.isFinite(value)
    case 'whole':
      return Number.isSafeInteger(value)
    case 'flag':
      return typeof value === 'boolean'
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'list':
      return Array.isArray(value)
    case 'any':
      return true
    default:
      return type satisfies never
  }
}

function found(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'string':
      return 'a text'
    case 'number':
      return 'a number'
    case 'object':
      return 'an object'
    default:
      return `a ${typeof value}`
  }
}

/** The same fields as JSON Schema. */
export function jsonSchemaOf(fields: Fields): Readonly<Record<string, unknown>> {
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      const { type, min, max, allowed } = field
      const json = JSON_TYPES[type]
      const entry = {
        ...(json === undefined ? {} : { type: json }),
        ...(min === undefined ? {} : { minimum: min }),
        ...(max === undefined ? {} : { maximum: max }),
        ...(allowed === undefined ? {} : { enum: allowed }),
        ...(field.default === undefined ? {} : { default: field.default }),
      }
      return [name, entry]
    }),
  )
  const required = Object.entries(fields)
    .filter(([, field]) => field.required !== false && field.default === undefined)
    .map(([name]) => name)
  return { type: 'object', properties, required, additionalProperties: true }
}
