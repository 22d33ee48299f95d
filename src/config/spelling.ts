import type { BlockNode, EntryNode, ListNode, TextNode, TypedNode, ValueNode, VariableNode } from './ast.ts'

/** The one spelling of a text, over several lines if it stands between three quotes. */
export function spellText(node: TextNode): string {
  if (node.lines) {
    const body = node.parts.map((part) => (typeof part === 'string' ? blockBody(part) : spellInner(part))).join('')
    return `"""\n${body.replace(/"(?=""|$)/g, '\\"')}"""`
  }
  const literal = node.parts.every((part) => typeof part === 'string') ? node.parts.join('') : undefined
  if (literal?.includes('"') && !literal.includes("'")) return `'${escaped(literal)}'`
  const body = node.parts.map((part) =>
    typeof part === 'string' ? escaped(part).replaceAll('"', '\\"').replaceAll('${', '\\${') : spellInner(part),
  )
  return `"${body.join('')}"`
}

/** A value on one line; undefined when it cannot stand on one. Blocks only with `blocks`: those of a list. */
export function spellFlat(value: ValueNode, blocks: boolean): string | undefined {
  switch (value.type) {
    case 'text':
      return value.lines ? undefined : spellText(value)
    case 'number':
      return value.raw
    case 'flag':
      return String(value.value)
    case 'null':
      return 'null'
    case 'variable':
      return `$${value.name}`
    case 'name':
    case 'path':
      return value.text
    case 'list':
      return flatList(value)
    case 'block':
    case 'typed':
      return blocks || blockOf(value).entries.length === 0 ? flatBlock(value) : undefined
    default:
      return value satisfies never
  }
}

/** The key of an entry, and what follows it up to the value. */
export function spellKey({ key }: EntryNode): string {
  return `${key.type === 'word' ? key.text : spellText(key)}: `
}

/** What stands before the braces of a value: the kind of a typed block, or nothing. */
export function spellKind(value: BlockNode | TypedNode): string {
  return value.type === 'typed' ? `${value.kind.map(({ text }) => text).join(' ')} ` : ''
}

/** The braces of a value, and what is between them. */
export function blockOf(value: BlockNode | TypedNode): BlockNode {
  return value.type === 'typed' ? value.block : value
}

function flatList({ items }: ListNode): string | undefined {
  const parts = items.map((item) => (isBlock(item) ? undefined : spellFlat(item, false)))
  return parts.includes(undefined) ? undefined : `[${parts.join(', ')}]`
}

function flatBlock(value: BlockNode | TypedNode): string | undefined {
  const { entries } = blockOf(value)
  if (entries.length === 0) return `${spellKind(value)}{}`
  const parts = entries.map((entry) => {
    const flat = isBlock(entry.value) || isLines(entry.key) ? undefined : spellFlat(entry.value, false)
    return flat === undefined ? undefined : spellKey(entry) + flat
  })
  return parts.includes(undefined) ? undefined : `${spellKind(value)}{ ${parts.join(', ')} }`
}

/** True for a block, with or without a kind. */
export function isBlock(value: ValueNode): value is BlockNode | TypedNode {
  return value.type === 'block' || value.type === 'typed'
}

function isLines(key: EntryNode['key']): boolean {
  return key.type === 'text' && key.lines === true
}

function spellInner({ name }: VariableNode): string {
  return `\${${name}}`
}

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\\': '\\\\' }
const SPECIAL = /[\\\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu

function escaped(text: string): string {
  return text.replace(SPECIAL, (char) => NAMED[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function blockBody(text: string): string {
  const lines = text.split('\n').map((line) => line.split('\t').map(escaped).join('\t'))
  return lines.join('\n').replaceAll('${', '\\${')
}
