import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { ROOT } from '../architecture/source.ts'

const PATH = join(ROOT, 'docs/guarantees.md')

/** Set, the tests of this folder write the tables of the document instead of comparing them. */
const WRITES = process.env.SWARMBUS_WRITE_GUARANTEES === '1'

/** The table between two marks of docs/guarantees.md is this one, or becomes it. */
export function documented(mark: string, rows: readonly (readonly string[])[]): void {
  const [head = [], ...rest] = rows.map((row) => `| ${row.join(' | ')} |`)
  const table = [head, `|${' --- |'.repeat(rows[0]?.length ?? 0)}`, ...rest].join('\n')
  const text = readFileSync(PATH, 'utf8')
  const [begin, end] = [`<!-- ${mark} -->\n`, `\n<!-- end of ${mark} -->`]
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)]
  expect(from, `docs/guarantees.md has no mark "${mark}"`).toBeGreaterThanOrEqual(begin.length)
  if (WRITES) writeFileSync(PATH, `${text.slice(0, from)}${table}${text.slice(to)}`)
  else expect(text.slice(from, to), 'SWARMBUS_WRITE_GUARANTEES=1 with these tests writes it anew').toBe(table)
}
