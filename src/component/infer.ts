import type { Role } from './role.ts'
import type { Route } from './routes.ts'

/** A component as far as routes depend on it. */
export interface RouteNode {
  readonly name: string
  readonly role: Role
  readonly kind?: string
  /** Undefined: it says nothing. */
  readonly to?: readonly string[] | undefined
  readonly feedback?: readonly string[] | undefined
  /** The components that it names elsewhere than in `to`: its model, tools, memory. */
  readonly references?: readonly string[] | undefined
}

/** Something that a person should look at. */
export interface RouteNote {
  readonly code: 'ambiguous' | 'orphan' | 'unknown-target' | 'cycle' | 'takes-nothing'
  /** Where it shows. */
  readonly component: string
  readonly message: string
}

/** Routes as they are declared, and as they follow from the roles. */
export interface Inference {
  /** One for each component, in the order of the components. */
  readonly routes: readonly Route[]
  /** Choices that were made among several. */
  readonly warnings: readonly RouteNote[]
  /** True when something goes to {@link InferOptions.outputName}, because there is no output. */
  readonly needsConsole: boolean
}

export interface InferOptions {
  /** The name of the built-in output, for a swarm without one. Default `console`, or the first of `console-2` … that is free. */
  readonly outputName?: string
}

/**
 * Where the output of each component goes. What is declared stays. Without it an input goes to the first agent, or, without agents, to
 * the first llm that is nobody's model or tool; agents, and such llms, go to all outputs, or to the built-in console if there is none;
 * everything else goes nowhere.
 */
export function inferRoutes(nodes: readonly RouteNode[], options: InferOptions = {}): Inference {
  const used = new Set(nodes.flatMap((node) => usedBy(node)))
  const free = (role: Role): readonly RouteNode[] => nodes.filter((one) => one.role === role && !used.has(one.name))
  const agents = free('agent')
  const llms = free('llm')
  const leading = new Set([...agents, ...llms])
  const outputs = nodes.filter((one) => one.role === 'output').map((one) => one.name)
  const consoleName = options.outputName ?? freeName(nodes.map((one) => one.name))
  const workers = agents.length > 0 ? agents : llms
  const warnings: RouteNote[] = []
  let needsConsole = false

  const inferred = (node: RouteNode): readonly string[] => {
    if (node.role === 'input') {
      const [first] = workers
      if (first === undefined) return []
      if (workers.length > 1) warnings.push(ambiguous(node, first, workers))
      return [first.name]
    }
    if (!leading.has(node)) return []
    if (outputs.length > 0) return outputs
    needsConsole = true
    return [consoleName]
  }
  const routes = nodes.map((node): Route => {
    const { name, to } = node
    return to === undefined
      ? { from: name, to: inferred(node), origin: 'inferred' }
      : { from: name, to, origin: 'declared' }
  })
  return { routes, warnings, needsConsole }
}

/** What a component uses, so that it goes nowhere by itself. Where components run is no use of them. */
function usedBy({ name, role, references = [] }: RouteNode): readonly string[] {
  return role === 'deployment' || role === 'vm' ? [] : references.filter((one) => one !== name)
}

const MOST_NAMES = 10

function ambiguous(node: RouteNode, first: RouteNode, workers: readonly RouteNode[]): RouteNote {
  const shown = workers.slice(0, MOST_NAMES).map((one) => `"${one.name}"`)
  const names = `${shown.join(', ')}${workers.length > MOST_NAMES ? ' …' : ''}`
  const what = first.role === 'agent' ? 'agents' : 'llms'
  return {
    code: 'ambiguous',
    component: node.name,
    message: `"${node.name}" says nothing of where it goes, and there are several ${what}: ${names}; it goes to "${first.name}". Say \`to\` to choose`,
  }
}

function freeName(names: readonly string[]): string {
  const taken = new Set(names)
  if (!taken.has('console')) return 'console'
  let number = 2
  while (taken.has(`console-${number}`)) number++
  return `console-${number}`
}
