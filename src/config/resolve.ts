import type { Catalog } from '../component/catalog.ts'
import type { KindDefinition } from '../component/kind.ts'
import { ROLE_WORDS } from '../component/kinds/define.ts'
import type { ComponentSpec } from '../component/spec.ts'
import type { DeclarationNode, EntryNode, Span, TypedNode } from './ast.ts'
import { entryOf, type Taken, takeEntries } from './block.ts'
import { findCycles } from './cycles.ts'
import type { Variables } from './environment.ts'
import type { Unit } from './include.ts'
import { chooseKind } from './kinds.ts'
import type { Report } from './report.ts'
import type { PlacedScript } from './scripts.ts'
import type { ValueContext } from './setting.ts'
import type { Source } from './source.ts'
import { flagOf, isNull } from './words.ts'

/** A component as the files declare it. */
export interface Declared {
  readonly spec: ComponentSpec
  readonly definition: KindDefinition
  readonly scripts: readonly PlacedScript[]
  readonly source: Source
  readonly span: Span
}

/** A reference from one component to another, outside of `to`. */
export interface Edge {
  readonly from: string
  readonly to: string
  readonly key: string
  readonly source: Source
  readonly span: Span
}

/** What the declarations of all files come to. */
export interface Resolved {
  readonly components: readonly Declared[]
  /** The settings of the message bus; a text is its url. */
  readonly bus: Declared | { readonly url: string; readonly source: Source; readonly span: Span } | undefined
  readonly edges: readonly Edge[]
}

interface Known {
  readonly node: DeclarationNode
  readonly source: Source
  readonly definition: KindDefinition | undefined
}

/** Turns declarations into components: names become references, variables values, typed blocks components with names of their own. */
export function resolveUnits(units: readonly Unit[], catalog: Catalog, variables: Variables, report: Report): Resolved {
  const known = knownOf(units, catalog, report)
  const names: ReadonlySet<string> = new Set(known.keys())
  const used = new Set(names)
  const components: Declared[] = []
  const edges: Edge[] = []
  const roles = new Map<string, KindDefinition>()
  const isBus = (name: string): boolean => roles.get(name)?.role === 'bus'
  let bus: Resolved['bus']
  for (const [name, { definition }] of known) if (definition !== undefined) roles.set(name, definition)

  function takeBus(found: NonNullable<Resolved['bus']>): void {
    if (bus === undefined) bus = found
    else report.error(found.source, found.span, 'second-bus', 'a swarm has one message bus, and it is declared already')
  }

  function make(name: string, definition: KindDefinition, source: Source, node: DeclarationNode | TypedNode): void {
    const span = node.type === 'declaration' ? node.name : spanOf(node.kind)
    const context: ValueContext = {
      source,
      report,
      variables,
      names,
      part: (part, key) => makePart(part, key, name, source),
    }
    const taken = takeEntries(node.block, span, definition, node.kind.length === 1, context, {
      refer: (to, key, at) => void edges.push({ from: name, to, key, source, span: at }),
      roleOf: (one) => roles.get(one)?.role,
      bus: (url, at) => takeBus({ url, source, span: at }),
      isBus,
    })
    const declared: Declared = {
      spec: specOf(name, definition, taken, { file: source.name, ...source.positionAt(span.start) }),
      definition,
      scripts: [...taken.hooks, ...taken.pipes],
      source,
      span,
    }
    if (definition.role === 'bus') takeBus(declared)
    else components.push(declared)
  }

  function makePart(node: TypedNode, key: string, owner: string, source: Source): string | undefined {
    const definition = kindOf(node, key, source, catalog, report)
    if (definition === undefined) return undefined
    let name = `${owner}-${key.replace(/[^A-Za-z0-9_-]+/g, '-')}`
    for (let number = 2; used.has(name); number++) name = `${owner}-${key}-${number}`
    used.add(name)
    roles.set(name, definition)
    edges.push({ from: owner, to: name, key, source, span: spanOf(node.kind) })
    make(name, definition, source, node)
    return name
  }

  for (const [name, { node, source, definition }] of known) {
    if (definition !== undefined) make(name, definition, source, node)
  }
  checkCommandLines(components, report)
  const cycles = findCycles(edges.filter(({ to }) => !isBus(to)))
  for (const { edge, names: around } of cycles) {
    const circle = [...around, around[0]].join(' → ')
    report.error(
      edge.source,
      edge.span,
      'reference-cycle',
      `components need each other: ${circle}`,
      'only `to` may lead in a circle',
    )
  }
  return { components, bus, edges }
}

/** Every name with its kind; a name that stands twice counts for its first declaration. */
function knownOf(units: readonly Unit[], catalog: Catalog, report: Report): ReadonlyMap<string, Known> {
  const known = new Map<string, Known>()
  for (const { source, file } of units) {
    const own = new Set<string>()
    for (const node of file.items) {
      if (node.type !== 'declaration') continue
      const name = node.name.text
      const before = known.get(name)
      if (before === undefined) {
        // The parser has refused what may be no name, and names that stand twice in one file.
        if (flagOf(name) === undefined && !isNull(name)) {
          known.set(name, { node, source, definition: kindOf(node, name, source, catalog, report) })
        }
      } else if (!own.has(name)) {
        const first = before.source.positionAt(before.node.start)
        const place = `${before.source.name}:${first.line}`
        report.error(source, node.name, 'duplicate-name', `"${name}" is declared already, at ${place}`)
      }
      own.add(name)
    }
  }
  return known
}

function kindOf(
  node: DeclarationNode | TypedNode,
  name: string,
  source: Source,
  catalog: Catalog,
  report: Report,
): KindDefinition | undefined {
  const words = node.kind.map((word) => word.text).join(' ')
  // Nothing stands there, which the parser has told.
  if (words === '') return undefined
  const role = entryOf(node.block, 'role')
  const choice = chooseKind(catalog, words, name, role === undefined ? undefined : wordOf(role))
  if ('definition' in choice) return choice.definition
  const at = choice.isRole === true && role !== undefined ? role.value : spanOf(node.kind)
  report.error(source, at, choice.code, choice.message, choice.hint)
  return undefined
}

function wordOf({ value }: EntryNode): string | undefined {
  if (value.type === 'name') return value.text
  if (value.type !== 'text' || value.parts.some((part) => typeof part !== 'string')) return undefined
  return value.parts.join('')
}

function spanOf(kind: readonly Span[]): Span {
  return { start: kind[0]?.start ?? 0, end: kind.at(-1)?.end ?? 0 }
}

function specOf(
  name: string,
  { kind }: KindDefinition,
  { settings, role, to, feedback, routes, hooks, pipes }: Taken,
  place: NonNullable<ComponentSpec['place']>,
): ComponentSpec {
  const played = role === undefined ? undefined : ROLE_WORDS[role]
  return {
    name,
    kind,
    ...(played === undefined ? {} : { role: played }),
    settings,
    ...(to === undefined ? {} : { to }),
    ...(feedback === undefined ? {} : { feedback }),
    ...(routes === undefined ? {} : { routes }),
    ...(hooks.length === 0 ? {} : { hooks: hooks.map(({ spec }) => spec) }),
    ...(pipes.length === 0 ? {} : { pipes: pipes.map(({ spec }) => spec) }),
    place,
  }
}

/** Two readers of one terminal would each get some of the lines. */
function checkCommandLines(components: readonly Declared[], report: Report): void {
  const [first, ...more] = components.filter(({ definition }) => definition.kind === 'input command_line')
  for (const { source, span } of more) {
    const { line } = first?.spec.place ?? { line: 0 }
    report.error(
      source,
      span,
      'second-command-line',
      `there is a command line already: "${first?.spec.name}", line ${line}`,
      'a swarm reads one terminal',
    )
  }
}
