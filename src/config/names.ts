import type { DeclarationNode, IncludeNode } from './ast.ts'
import type { DiagnosticLog } from './diagnostic-log.ts'
import { clip } from './lexer.ts'
import type { Source } from './source.ts'
import { flagOf, isNull } from './words.ts'

/** Tells of declarations of one file that have the name of another one, or of a value. */
export function tellNames(source: Source, log: DiagnosticLog, items: readonly (DeclarationNode | IncludeNode)[]): void {
  const first = new Map<string, DeclarationNode>()
  for (const item of items) {
    // What could not be read counts for those who refer to it, and is no second one.
    if (item.type === 'include' || item.kind.length === 0) continue
    const { name } = item
    if (flagOf(name.text) !== undefined || isNull(name.text)) {
      log.add('forbidden-name', name, `found the value \`${name.text}\`, expected a name`, 'no name can stand for it')
      continue
    }
    const earlier = first.get(name.text)
    if (earlier === undefined) {
      first.set(name.text, item)
      continue
    }
    log.add('duplicate-name', name, () => {
      const { line, column } = source.positionAt(earlier.start)
      return `found \`${clip(name.text)}\` again, expected another name: it is declared in line ${line}, column ${column}`
    })
  }
}
