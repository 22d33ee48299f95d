import { nearest } from '../component/nearest.ts'
import { Reference, type Setting } from '../component/spec.ts'
import type { Span, TextNode, TypedNode, ValueNode, VariableNode, WordNode } from './ast.ts'
import type { Variables } from './environment.ts'
import type { Report } from './report.ts'
import type { Source } from './source.ts'

/** What the values of one declaration are read with. */
export interface ValueContext {
  readonly source: Source
  readonly report: Report
  readonly variables: Variables
  /** Names of all declarations. */
  readonly names: ReadonlySet<string>
  /** Makes a component out of a block with a kind of its own; its name, or undefined when that is wrong. */
  part(node: TypedNode, key: string): string | undefined
  /** Nothing is told of names that nothing has: they stand in a list that could not be read, which was told. */
  readonly quiet?: boolean
  /** Told of each name that stands as a value. */
  referred?(name: string, span: Span): void
}

/**
 * What a value comes to: variables are replaced, names are references, a block with a kind becomes a component. Undefined when something
 * is wrong with it, which was reported.
 */
export function settingOf(node: ValueNode, key: string, context: ValueContext): Setting | undefined {
  switch (node.type) {
    case 'text':
      return textSetting(node, context)
    case 'number':
    case 'flag':
      return node.value
    case 'null':
      return null
    case 'path':
      return node.text
    case 'variable':
      return variableSetting(node, context)
    case 'name':
      return referenceTo(node.text, node, context)
    case 'list': {
      const inner = quietIn(node, context)
      const items = node.items.map((item) => settingOf(item, key, inner))
      return items.filter((item) => item !== undefined)
    }
    case 'block': {
      const entries: [string, Setting][] = []
      for (const entry of node.entries) {
        const name = keySetting(entry.key, context)
        const value = settingOf(entry.value, name, context)
        if (value !== undefined) entries.push([name, value])
      }
      // Not an object literal: a key may be `__proto__`.
      return Object.fromEntries(entries)
    }
    case 'typed': {
      const name = context.part(node, key)
      return name === undefined ? undefined : new Reference(name)
    }
    default:
      return node satisfies never
  }
}

/** What the items of a list are read with, or a text: of a broken one nobody knows what is a name. */
export function quietIn(node: ValueNode, context: ValueContext): ValueContext {
  return (node.type === 'list' || node.type === 'text') && node.broken === true ? { ...context, quiet: true } : context
}

/** The key of an entry as text. */
export function keySetting(key: WordNode | TextNode, context: ValueContext): string {
  return key.type === 'word' ? key.text : (textSetting(key, context) ?? '')
}

/** The text with its variables replaced; undefined when one of them is not set. */
export function textSetting({ parts }: TextNode, context: ValueContext): string | undefined {
  let whole: string | undefined = ''
  for (const part of parts) {
    const text = typeof part === 'string' ? part : variableSetting(part, context)
    whole = whole === undefined || text === undefined ? undefined : whole + text
  }
  return whole
}

/** The value of a variable; undefined, and told with its place, when it is not set. */
export function variableSetting(node: VariableNode, { source, report, variables }: ValueContext): string | undefined {
  // Without a name it could not be read, which was told.
  if (node.name === '') return undefined
  const value = variables.value(node.name)
  if (value !== undefined) return value
  report.here(
    source,
    node,
    'unset-variable',
    `the variable ${node.name} is not set`,
    'set it in the environment, or in a file .env beside the main file',
  )
  return undefined
}

/** A reference to a declared name; undefined, and an error with the nearest name, for another one. */
export function referenceTo(name: string, span: Span, context: ValueContext): Reference | undefined {
  if (context.names.has(name)) {
    context.referred?.(name, span)
    return new Reference(name)
  }
  const isVariable = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/.test(name)
  const other = isVariable ? `the value of a variable is written $${name}` : `a text is written in quotes: "${name}"`
  reportUnknown(name, span, context, other)
  return undefined
}

/** Tells that nothing has the name. */
export function reportUnknown(
  name: string,
  span: Span,
  { source, report, names, quiet }: ValueContext,
  other: string,
): void {
  if (quiet === true) return
  const near = nearest(name, names)
  const hint = near === undefined ? other : `did you mean "${near}"?`
  report.error(source, span, 'unknown-name', `nothing is declared as "${name}"`, hint)
}
