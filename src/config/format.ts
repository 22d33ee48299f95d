import { BusError } from '../kit/errors.ts'
import type { CommentNode, DeclarationNode, EntryNode, FileNode, IncludeNode, Span, ValueNode } from './ast.ts'
import { parse } from './parser.ts'
import { codePoints, type Source } from './source.ts'
import { blockOf, isBlock, spellFlat, spellKey, spellKind, spellText } from './spelling.ts'

/** Longest line that lists and blocks of lists are put on. */
export const LINE_WIDTH = 100

/**
 * The text in its one canonical spelling: what it says is the same, comments stay where they are, and formatting it again changes nothing.
 * Throws CONFIG_INVALID with `details.diagnostics` when the text has errors.
 */
export function format(source: Source): string {
  const { file, diagnostics } = parse(source)
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  const [first] = errors
  if (first !== undefined) {
    const more = errors.length > 1 ? `, and ${errors.length - 1} more` : ''
    throw new BusError('CONFIG_INVALID', `${first.file}:${first.line}:${first.column}: ${first.message}${more}`, {
      details: { diagnostics },
    })
  }
  return new Printer(file, source.text).print()
}

type Part = DeclarationNode | IncludeNode | EntryNode | ValueNode

class Printer {
  readonly #file: FileNode
  readonly #text: string
  readonly #lines: string[] = []
  #nextComment = 0

  constructor(file: FileNode, text: string) {
    this.#file = file
    this.#text = text
  }

  print(): string {
    const { items } = this.#file
    this.#sequence(items, { start: 0, end: this.#text.length }, '', (item) => {
      if (item.type === 'include') this.#lines.push(`include ${spellText(item.path)}`)
      else {
        const kind = item.kind.map(({ text }) => text).join(' ')
        this.#braces(`${item.name.text} = ${kind} `, item.block, item.block.entries, '', '', '')
      }
    })
    return this.#lines.map((line) => `${line}\n`).join('')
  }

  /** Parts on lines of their own, with the comments before, between and behind them, and at most one blank line at a time. */
  #sequence<T extends Part>(parts: readonly T[], within: Span, indent: string, print: (part: T) => void): void {
    const opener = this.#lines.length
    let last = within.start
    let before: T | undefined
    const gap = (start: number, part: T | undefined) => {
      if (this.#lines.length > opener && this.#wantsBlank(last, start, before, part)) this.#lines.push('')
      before = undefined
    }
    const comment = (one: CommentNode, own: boolean, part: T | undefined) => {
      const text = spellComment(one)
      if (!own && this.#lines.length > 0 && !this.#hasLineEnd(last, one.start)) {
        this.#lines[this.#lines.length - 1] += ` ${text}`
      } else {
        gap(one.start, part)
        this.#lines.push(indent + text)
      }
      last = one.end
    }
    for (const part of parts) {
      const opening = openingOf(part)
      for (const one of this.#commentsUpTo(opening)) comment(one, one.start > part.start, part)
      gap(Math.max(part.start, last), part)
      print(part)
      last = part.end
      before = part
    }
    for (const one of this.#commentsUpTo(within.end)) comment(one, false, undefined)
  }

  #wantsBlank(last: number, start: number, before: Part | undefined, part: Part | undefined): boolean {
    if (before?.type === 'declaration') return true
    if (before?.type === 'include' && part?.type === 'declaration') return true
    return (this.#text.slice(last, start).match(/\r\n?|\n/g)?.length ?? 0) > 1
  }

  #braces(
    prefix: string,
    span: Span,
    entries: readonly EntryNode[],
    indent: string,
    key: string,
    suffix: string,
  ): void {
    if (entries.length === 0 && !this.#hasComment(span)) {
      this.#lines.push(`${indent}${key}${prefix}{}${suffix}`)
      return
    }
    this.#lines.push(`${indent}${key}${prefix}{`)
    const inner = `${indent}  `
    this.#sequence(entries, span, inner, (entry) => this.#value(entry.value, inner, spellKey(entry), ''))
    this.#lines.push(`${indent}}${suffix}`)
  }

  #value(value: ValueNode, indent: string, key: string, suffix: string): void {
    const flat = this.#flat(value, `${indent}${key}`, suffix, key === '')
    if (flat !== undefined) {
      this.#lines.push(`${indent}${key}${flat}${suffix}`)
    } else if (value.type === 'text') {
      this.#lines.push(`${indent}${key}${spellText(value)}${suffix}`)
    } else if (value.type === 'list') {
      this.#lines.push(`${indent}${key}[`)
      const inner = `${indent}  `
      this.#sequence(value.items, value, inner, (item) => this.#value(item, inner, '', ','))
      this.#lines.push(`${indent}]${suffix}`)
    } else if (isBlock(value)) {
      const block = blockOf(value)
      this.#braces(spellKind(value), block, block.entries, indent, key, suffix)
    }
  }

  #flat(value: ValueNode, before: string, suffix: string, inList: boolean): string | undefined {
    const flat = spellFlat(value, inList)
    if (value.type !== 'list' && !isBlock(value)) return flat
    if (flat === undefined || this.#hasComment(value)) return undefined
    const isEmpty = value.type === 'list' ? value.items.length === 0 : blockOf(value).entries.length === 0
    return isEmpty || codePoints(before + flat + suffix) <= LINE_WIDTH ? flat : undefined
  }

  *#commentsUpTo(end: number): Generator<CommentNode> {
    for (;;) {
      const comment = this.#file.comments[this.#nextComment]
      if (comment === undefined || comment.start >= end) return
      this.#nextComment++
      yield comment
    }
  }

  #hasComment({ end }: Span): boolean {
    const comment = this.#file.comments[this.#nextComment]
    return comment !== undefined && comment.start < end
  }

  #hasLineEnd(start: number, end: number): boolean {
    return /[\r\n]/.test(this.#text.slice(start, end))
  }
}

/** Where the inside of a part begins: a comment before that, between a key and its value, goes above the part. */
function openingOf(part: Part): number {
  switch (part.type) {
    case 'declaration':
    case 'typed':
      return part.block.start
    case 'include':
      return part.path.start
    case 'entry':
      return openingOf(part.value)
    default:
      return part.start
  }
}

function spellComment({ text }: CommentNode): string {
  const trimmed = text.trimEnd()
  return trimmed === '' || /^[\s!#]/.test(trimmed) ? `#${trimmed}` : `# ${trimmed}`
}
