import type { ValueNode } from './ast.ts'
import { quietIn, referenceTo, reportUnknown, textSetting, type ValueContext } from './setting.ts'

/** The keys that say where output goes; the first that is there counts. */
export const TARGET_KEYS = ['to', '_output', 'output_targets'] as const

/** Where output goes: none, one name, or a list of names, bare or in quotes. Anything else is an error at its place. */
export function targetsOf(node: ValueNode, context: ValueContext): readonly string[] {
  if (node.type === 'null') return []
  const items = node.type === 'list' ? node.items : [node]
  const names = items.flatMap((item) => targetOf(item, quietIn(item, quietIn(node, context))) ?? [])
  // One target twice would get everything twice.
  return [...new Set(names)]
}

function targetOf(node: ValueNode, context: ValueContext): string | undefined {
  const { report, source, names, variables } = context
  switch (node.type) {
    case 'name':
      return referenceTo(node.text, node, { ...context, referred: () => undefined })?.name
    case 'text':
    case 'variable': {
      const text = node.type === 'text' ? textSetting(node, context) : variables.value(node.name)
      if (text === undefined) {
        if (node.type === 'variable' && node.name !== '') {
          report.here(source, node, 'unset-variable', `the variable ${node.name} is not set`)
        }
        return undefined
      }
      if (names.has(text)) return text
      const isSecret = node.type === 'variable' || node.parts.some((part) => typeof part !== 'string')
      if (isSecret)
        report.error(source, node, 'unknown-name', 'nothing is declared with the name that the variable holds')
      else reportUnknown(text, node, context, 'a target is the name of a declaration')
      return undefined
    }
    case 'path':
      reportUnknown(node.text, node, context, 'a target is the name of a declaration')
      return undefined
    default:
      if (context.quiet === true || ('broken' in node && node.broken === true)) return undefined
      report.error(
        source,
        node,
        'wrong-type',
        'a target is a name, or a list of names',
        'write `to: name` or `to: [one, other]`',
      )
      return undefined
  }
}
