import type { ToolDescription } from '../../kind.ts'
import { splitAt } from './scan.ts'
import type { Parameter, Signature } from './signature.ts'

type Schema = Readonly<Record<string, unknown>>

/** A function as a tool: its inputs as JSON Schema, as far as types, defaults and comments tell. */
export function toolOf(name: string, { summary, parameters, notes }: Signature): ToolDescription {
  // What is taken apart in the parameters is given by its own names.
  const inputs = parameters.flatMap((one) => one.fields ?? [one])
  return {
    name,
    summary: summary || `calls ${name}(${inputs.map((one) => one.name).join(', ')})`,
    inputs: {
      type: 'object',
      properties: Object.fromEntries(inputs.map((one) => [one.name, schemaOf(one, notes[one.name])])),
      required: inputs.filter((one) => one.isRequired && parentIsRequired(one, parameters)).map((one) => one.name),
      additionalProperties: false,
    },
  }
}

/** With a default for the whole object none of its fields must be given. */
function parentIsRequired(field: Parameter, parameters: readonly Parameter[]): boolean {
  return parameters.find((one) => one.fields?.includes(field))?.isRequired ?? true
}

function schemaOf({ type, initial, isRest }: Parameter, note: string | undefined): Schema {
  const value = initial === undefined ? undefined : literal(initial)
  const described = type === undefined ? (value === undefined ? {} : { type: typeName(value) }) : typeSchema(type)
  return {
    ...(isRest && type === undefined ? { type: 'array' } : described),
    ...(note === undefined || note === '' ? {} : { description: note }),
    ...(value === undefined ? {} : { default: value }),
  }
}

/** A type of TypeScript as JSON Schema; `{}`, which allows anything, for what is too much. */
function typeSchema(type: string): Schema {
  const text = type.trim().replace(/^readonly\s+/, '')
  const choices = splitAt(text, '|')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one !== 'undefined')
  if (choices.length > 1) {
    const values = choices.map(literal)
    return values.includes(undefined) ? {} : { enum: values }
  }
  const only = choices[0] ?? ''
  const list = /^(.+)\[\]$/s.exec(only)?.[1] ?? /^(?:Readonly)?Array<(.+)>$/s.exec(only)?.[1]
  if (list !== undefined) return { type: 'array', items: typeSchema(list.replace(/^\((.*)\)$/s, '$1')) }
  if (only === 'string' || only === 'number' || only === 'boolean') return { type: only }
  if (only.startsWith('{') || only.startsWith('Record<') || only === 'object') return { type: 'object' }
  const value = literal(only)
  return value === undefined ? {} : { const: value }
}

/** The value of a literal; undefined for anything that must be run. */
function literal(text: string): string | number | boolean | null | undefined {
  const quoted = /^'((?:[^'\\]|\\.)*)'$|^"((?:[^"\\]|\\.)*)"$/s.exec(text.trim())
  if (quoted !== null) return (quoted[1] ?? quoted[2] ?? '').replace(/\\(.)/g, '$1')
  if (/^-?(?:\d[\d_]*)(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text.trim())) return Number(text.trim().replaceAll('_', ''))
  if (text.trim() === 'true' || text.trim() === 'false') return text.trim() === 'true'
  return text.trim() === 'null' ? null : undefined
}

function typeName(value: string | number | boolean | null): string {
  return value === null ? 'null' : typeof value
}
