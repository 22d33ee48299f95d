import type { RouteNode, RouteNote } from './infer.ts'
import { nearest } from './nearest.ts'
import type { Role } from './role.ts'
import type { Route } from './routes.ts'

/** What the routes of a swarm are worth. */
export interface Validation {
  /** True without issues. */
  readonly valid: boolean
  /** Faults: unknown targets, and cycles, each once. */
  readonly issues: readonly RouteNote[]
  /** Components that nothing reaches and that reach nothing. */
  readonly warnings: readonly RouteNote[]
  readonly statistics: {
    readonly total: number
    /** Components with at least one target. */
    readonly routed: number
    readonly orphaned: number
    /** Pairs of a component and a target. */
    readonly routes: number
  }
}

/** Roles that take part in routes; the others are used, or settings. */
const IN_ROUTES: ReadonlySet<Role> = new Set(['input', 'agent', 'llm', 'output'])
/** Roles that close a loop on purpose: what is remembered comes back. */
const FEEDBACK: ReadonlySet<Role> = new Set(['memory', 'knowledge-base'])

/** Checks routes: unknown targets and cycles are issues, components that take no part are warnings. `known` are names of other processes. */
export function validateRoutes(
  nodes: readonly RouteNode[],
  routes: readonly Route[],
  known: Iterable<string> = [],
): Validation {
  const names = new Set([...nodes.map((one) => one.name), ...known])
  const placed = (role: Role): boolean => role === 'deployment' || role === 'vm'
  const used = new Set(nodes.flatMap(({ role, references = [] }) => (placed(role) ? [] : references)))
  const issues: RouteNote[] = []
  for (const { from, to } of routes) {
    for (const target of to) if (!names.has(target)) issues.push(unknownTarget(from, target, names))
  }
  for (const cycle of cyclesOf(nodes, routes)) {
    const first = cycle[0] as string
    const message = `${[...cycle, first].map((one) => `"${one}"`).join(' → ')} is a cycle; if it is meant, name the target that closes it in \`feedback\``
    issues.push({ code: 'cycle', component: first, message })
  }
  const reached = new Set(routes.flatMap((one) => one.to))
  const routed = routes.filter((one) => one.to.length > 0)
  const leads = new Set(routed.map((one) => one.from))
  const orphans = nodes.filter(({ name, role }) => {
    if (!IN_ROUTES.has(role) || used.has(name)) return false
    if (role === 'output') return !reached.has(name)
    return role === 'input' ? !leads.has(name) : !leads.has(name) && !reached.has(name)
  })
  const warnings = orphans.map(({ name, role }): RouteNote => {
    const message = role === 'output' ? `nothing goes to "${name}"` : `"${name}" goes nowhere`
    return { code: 'orphan', component: name, message }
  })
  const statistics = {
    total: nodes.length,
    routed: routed.length,
    orphaned: orphans.length,
    routes: routed.reduce((sum, one) => sum + one.to.length, 0),
  }
  return { valid: issues.length === 0, issues, warnings, statistics }
}

function unknownTarget(from: string, target: string, names: ReadonlySet<string>): RouteNote {
  const near = nearest(target, names)
  const hint = near === undefined ? '' : `; did you mean "${near}"?`
  return {
    code: 'unknown-target',
    component: from,
    message: `"${from}" goes to "${target}", which does not exist${hint}`,
  }
}

/** The edges that count for cycles: those that no feedback was declared for. */
function forwardEdges(nodes: readonly RouteNode[], routes: readonly Route[]): Edges {
  const byName = new Map(nodes.map((one) => [one.name, one]))
  return new Map(
    routes.map(({ from, to }) => {
      const node = byName.get(from)
      if (node !== undefined && FEEDBACK.has(node.role)) return [from, []]
      return [from, to.filter((target) => byName.has(target) && !node?.feedback?.includes(target))]
    }),
  )
}

/**
 * The cycles of the routes, each once, from its first component on: shortest ones, so many that every pair of a component and a target that
 * lies on a cycle lies on one of them.
 */
export function cyclesOf(nodes: readonly RouteNode[], routes: readonly Route[]): readonly (readonly string[])[] {
  const edges = onCircles(forwardEdges(nodes, routes))
  const place = new Map(nodes.map((one, index) => [one.name, index]))
  const found = new Map<string, readonly string[]>()
  const covered = new Map<string, Set<string>>([...edges.keys()].map((name) => [name, new Set()]))
  for (const { name } of nodes) {
    for (const target of edges.get(name) ?? []) {
      if (covered.get(name)?.has(target) === true) continue
      const back = shortestWay(target, name, edges)
      if (back === undefined) continue
      for (const [index, from] of back.entries()) covered.get(from)?.add(back[(index + 1) % back.length] as string)
      const cycle = fromFirst(back, place)
      found.set(JSON.stringify(cycle), cycle)
    }
  }
  return [...found.values()]
}

type Edges = ReadonlyMap<string, readonly string[]>

/** Without what leads into no circle, or comes out of none: most swarms have none, and nothing is searched. */
function onCircles(edges: Edges): Edges {
  return reversed(intoCircles(reversed(intoCircles(edges))))
}

/** Without what leads into no circle. */
function intoCircles(edges: Edges): Edges {
  const sources = reversed(edges)
  const open = new Map([...edges].map(([name, to]) => [name, to.length]))
  const ends = [...edges].flatMap(([name, to]) => (to.length === 0 ? [name] : []))
  // Grows while it is walked through: what leads only to ends is an end.
  for (const end of ends) {
    for (const from of sources.get(end) ?? []) {
      const left = (open.get(from) ?? 0) - 1
      open.set(from, left)
      if (left === 0) ends.push(from)
    }
  }
  const gone = new Set(ends)
  const kept = [...edges].filter(([from]) => !gone.has(from))
  return new Map(kept.map(([from, to]) => [from, to.filter((one) => !gone.has(one))]))
}

function reversed(edges: Edges): Edges {
  const back = new Map<string, string[]>([...edges.keys()].map((name) => [name, []]))
  for (const [from, to] of edges) {
    for (const target of to) {
      const known = back.get(target)
      if (known === undefined) back.set(target, [from])
      else known.push(from)
    }
  }
  return back
}

/** The components from one to another, both included; undefined when there is no way. */
function shortestWay(start: string, end: string, edges: Edges): readonly string[] | undefined {
  const before = new Map<string, string | undefined>([[start, undefined]])
  // Grows while it is walked through.
  const line = [start]
  for (const from of line) {
    if (from === end) {
      const way: string[] = []
      for (let at: string | undefined = end; at !== undefined; at = before.get(at)) way.push(at)
      return way.reverse()
    }
    for (const to of edges.get(from) ?? []) {
      if (before.has(to)) continue
      before.set(to, from)
      line.push(to)
    }
  }
  return undefined
}

/** The same circle, begun at the component that stands first. */
function fromFirst(circle: readonly string[], place: ReadonlyMap<string, number>): readonly string[] {
  let first = 0
  for (const [index, name] of circle.entries()) {
    if ((place.get(name) ?? 0) < (place.get(circle[first] as string) ?? 0)) first = index
  }
  return [...circle.slice(first), ...circle.slice(0, first)]
}

const MOST_CHAINS = 10_000

/** Every path from an input to a component that goes nowhere further, in the order of the routes; none passes a component twice. */
export function chainsOf(nodes: readonly RouteNode[], routes: readonly Route[]): readonly (readonly string[])[] {
  const edges = new Map(routes.map((one) => [one.from, one.to]))
  const chains: (readonly string[])[] = []
  const path: string[] = []
  const onPath = new Set<string>()
  const ways: Iterator<string>[] = []
  const enter = (name: string): void => {
    path.push(name)
    onPath.add(name)
    const next = (edges.get(name) ?? []).filter((one) => !onPath.has(one))
    if (next.length === 0 && path.length > 1) chains.push([...path])
    ways.push(next[Symbol.iterator]())
  }
  for (const { name, role } of nodes) {
    if (role === 'input') enter(name)
    for (let way = ways.at(-1); way !== undefined && chains.length < MOST_CHAINS; way = ways.at(-1)) {
      const { done, value } = way.next()
      if (done === true) {
        ways.pop()
        onPath.delete(path.pop() as string)
      } else enter(value)
    }
  }
  return chains
}
