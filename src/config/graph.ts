import type { RoutePlan } from './route-check.ts'

/** A swarm as a drawing has it. */
export interface SwarmGraph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** A component. */
export interface GraphNode {
  readonly name: string
  readonly kind: string
  readonly role: string
}

/** Where output goes, or what a component uses. */
export interface GraphEdge {
  readonly from: string
  readonly to: string
  /** `declared` by `to`, `inferred` from the roles, or `uses`: a model, tools, a memory. */
  readonly type: 'declared' | 'inferred' | 'uses'
}

/** The nodes and edges of what was loaded. Names and kinds only: no setting is shown, so no secret can be. */
export function graphOf({ nodes, routes }: RoutePlan): SwarmGraph {
  const all = new Map<string, GraphNode>(
    nodes.map(({ name, kind = '', role }) => [name, { name, kind, role }] as const),
  )
  const edges: GraphEdge[] = []
  for (const { from, to, origin } of routes) {
    for (const target of to) {
      if (!all.has(target)) all.set(target, { name: target, kind: 'built in', role: 'output' })
      edges.push({ from, to: target, type: origin === 'inferred' ? 'inferred' : 'declared' })
    }
  }
  for (const { name, references = [] } of nodes) {
    for (const to of references) if (all.has(to)) edges.push({ from: name, to, type: 'uses' })
  }
  return { nodes: [...all.values()], edges }
}

/** One paragraph for each component: its kind, what it uses, where its output goes. */
export function graphText({ nodes, edges }: SwarmGraph): string {
  const paragraphs = nodes.map(({ name, kind, role }) => {
    const own = edges.filter((one) => one.from === name)
    const used = own.filter(({ type }) => type === 'uses').map(({ to }) => to)
    const lines = [`${name}  (${kind}${kind.startsWith(role) ? '' : `, ${role}`})`]
    if (used.length > 0) lines.push(`  uses ${used.join(', ')}`)
    for (const { to, type } of own) {
      if (type !== 'uses') lines.push(`  → ${to}${type === 'inferred' ? '  (inferred)' : ''}`)
    }
    return lines.join('\n')
  })
  return paragraphs.length === 0 ? 'no components' : paragraphs.join('\n')
}

const SHAPES: Readonly<Record<string, readonly [open: string, close: string]>> = {
  input: ['([', '])'],
  output: ['([', '])'],
  agent: ['[', ']'],
  memory: ['[(', ')]'],
  'knowledge-base': ['[(', ')]'],
}
const ARROWS: Readonly<Record<GraphEdge['type'], string>> = {
  declared: '-->',
  inferred: '-. inferred .->',
  uses: '-.-o',
}

/** The same as a flow chart of Mermaid. */
export function graphMermaid({ nodes, edges }: SwarmGraph): string {
  const ids = new Map(nodes.map(({ name }, index) => [name, `n${index}`]))
  const lines = ['flowchart LR']
  for (const { name, kind, role } of nodes) {
    const [open, close] = SHAPES[role] ?? ['[[', ']]']
    lines.push(`  ${ids.get(name)}${open}"${quoted(name)}<br/>${quoted(kind)}"${close}`)
  }
  for (const { from, to, type } of edges) lines.push(`  ${ids.get(from)} ${ARROWS[type]} ${ids.get(to)}`)
  return lines.join('\n')
}

/** Inside of the quotes of Mermaid nothing but its own entities is special. */
function quoted(text: string): string {
  return text.replace(/[#"<>&;]/g, (char) => `#${char.charCodeAt(0)};`)
}
