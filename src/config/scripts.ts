import { nearest } from '../component/nearest.ts'
import type { ScriptSpec, Setting } from '../component/spec.ts'
import type { BlockNode, Span, ValueNode } from './ast.ts'
import type { Report } from './report.ts'
import { keySetting, settingOf, type ValueContext } from './setting.ts'
import type { Source } from './source.ts'

/** A script as it stands in a file, and where its parts stand. */
export interface PlacedScript {
  readonly spec: ScriptSpec
  readonly source: Source
  readonly scriptNode: ValueNode
  readonly functionNode: ValueNode
}

const NAMES = {
  event: ['event'],
  script: ['script_path', 'script', 'path'],
  function: ['function_name', 'function'],
  optional: ['optional'],
} as const

type Part = keyof typeof NAMES

/**
 * The hooks or pipes of a component: a list of blocks with `event`, `script_path` and `function_name`, in any order; one block is a list of
 * one. What is wrong is told, and left out.
 */
export function scriptsOf(key: 'hooks' | 'pipes', node: ValueNode, context: ValueContext): readonly PlacedScript[] {
  const { source, report } = context
  const items = node.type === 'list' ? node.items : [node]
  return items.flatMap((item) => {
    if (item.type === 'block') return scriptOf(key, item, context)
    // What stands in a list that could not be read is told there.
    const isBroken = node.type === 'list' && node.broken === true
    if (item.type !== 'null' && !isBroken) {
      const shape = '{ event: "…", script_path: "…", function_name: "…" }'
      report.error(source, item, 'bad-script', `"${key}" is a list of blocks`, `write [${shape}]`)
    }
    return []
  })
}

function scriptOf(key: 'hooks' | 'pipes', block: BlockNode, context: ValueContext): readonly PlacedScript[] {
  const { source, report } = context
  const found = new Map<Part, { readonly node: ValueNode; readonly value: Setting | undefined }>()
  const unknown: { readonly name: string; readonly at: Span; readonly near: string | undefined }[] = []
  for (const entry of block.entries) {
    const name = keySetting(entry.key, context)
    const part = partOf(name)
    if (part === undefined) {
      unknown.push({ name, at: entry.key, near: nearest(name, Object.values(NAMES).flat()) })
      continue
    }
    // A bare word stands for itself here: neither an event nor a function is a component.
    const isBroken = entry.value.type === 'text' && entry.value.broken === true
    const value =
      entry.value.type === 'name' ? entry.value.text : isBroken ? undefined : settingOf(entry.value, name, context)
    found.set(part, { node: entry.value, value })
  }
  const one = { event: '', script: '', function: '' }
  let isWhole = true
  for (const part of ['event', 'script', 'function'] as const) {
    const given = found.get(part)
    if (given === undefined) {
      isWhole = false
      // It may be what could not be read.
      if (block.broken === true) continue
      const text = `one of "${key}" has no "${NAMES[part][0]}"`
      const slip = unknown.find(({ near }) => near !== undefined && partOf(near) === part)
      if (slip === undefined) report.error(source, block, 'missing-key', text)
      else {
        unknown.splice(unknown.indexOf(slip), 1)
        report.error(source, slip.at, 'missing-key', `${text}, found "${slip.name}"`, `did you mean "${slip.near}"?`)
      }
    } else if (given.value === undefined) isWhole = false
    else if (typeof given.value !== 'string' || given.value === '') {
      report.error(source, given.node, 'wrong-type', `"${NAMES[part][0]}" must be a text`)
      isWhole = false
    } else one[part] = given.value
  }
  for (const { name, at } of unknown) unknownPart(key, name, at, report, source)
  const optional = found.get('optional')
  if (optional?.value !== undefined && typeof optional.value !== 'boolean') {
    report.error(source, optional.node, 'wrong-type', '"optional" must be true or false')
    isWhole = false
  }
  const [script, named] = [found.get('script'), found.get('function')]
  if (!isWhole || script === undefined || named === undefined) return []
  const spec: ScriptSpec = {
    ...one,
    ...(optional?.value === true ? { optional: true } : {}),
    place: { file: source.name, ...source.positionAt(block.start) },
  }
  return [{ spec, source, scriptNode: script.node, functionNode: named.node }]
}

function partOf(name: string): Part | undefined {
  return (Object.keys(NAMES) as Part[]).find((part) => (NAMES[part] as readonly string[]).includes(name))
}

function unknownPart(key: string, name: string, at: Span, report: Report, source: Source): void {
  const known = Object.values(NAMES).map(([first]) => first)
  report.warning(source, at, 'unknown-key', `"${key}" knows no "${name}"`, `there are ${known.join(', ')}`)
}
