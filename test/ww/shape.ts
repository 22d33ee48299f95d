import type { FileNode, ValueNode } from '../../src/config/ast.ts'
import type { Diagnostic } from '../../src/config/diagnostic.ts'
import { parse } from '../../src/config/parser.ts'
import { createSource } from '../../src/config/source.ts'

/** A text as the parser reads it: what it found, and all that it says as plain data. */
export function readText(text: string): { readonly shape: unknown; readonly faults: readonly string[] } {
  const { file, diagnostics } = parse(createSource('test.ww', text))
  return { shape: shapeOf(file), faults: diagnostics.map(faultOf) }
}

/** The declarations of a text that must have no fault at all. */
export function cleanShape(text: string): unknown {
  const { shape, faults } = readText(text)
  if (faults.length > 0) throw new Error(`${faults.join('\n')}\nin\n${text}`)
  return shape
}

/** The entries of `a = x { … }`, as plain data; throws for errors, not for warnings. */
export function bodyOf(body: string): unknown {
  const { shape, faults } = readText(`a = x {${body}}`)
  const errors = faults.filter((fault) => fault.includes(' error '))
  if (errors.length > 0) throw new Error(`${errors.join('\n')}\nin\n${body}`)
  return (shape as { a: { entries: unknown } }).a.entries
}

/** `line:column severity code message`. */
export function faultOf({ line, column, severity, code, message }: Diagnostic): string {
  return `${line}:${column} ${severity} ${code}: ${message}`
}

/** What a file says, without where and how it says it. */
export function shapeOf(file: FileNode): unknown {
  const entries = file.items.map((item) =>
    item.type === 'include'
      ? ['include', dataOf(item.path)]
      : [item.name.text, { kind: item.kind.map(({ text }) => text).join(' '), entries: dataOf(item.block) }],
  )
  return Object.fromEntries(entries)
}

/** `$NAME` for variables, `@name` for names, `~text` for bare texts. */
function dataOf(value: ValueNode): unknown {
  switch (value.type) {
    case 'text':
      return value.parts.map((part) => (typeof part === 'string' ? part : `<${part.name}>`)).join('')
    case 'number':
    case 'flag':
      return value.value
    case 'null':
      return null
    case 'variable':
      return `$${value.name}`
    case 'name':
      return `@${value.text}`
    case 'path':
      return `~${value.text}`
    case 'list':
      return value.items.map(dataOf)
    case 'block':
      return Object.fromEntries(
        value.entries.map(({ key, value: inner }) => [key.type === 'word' ? key.text : dataOf(key), dataOf(inner)]),
      )
    case 'typed':
      return { kind: value.kind.map(({ text }) => text).join(' '), entries: dataOf(value.block) }
    default:
      return value satisfies never
  }
}
