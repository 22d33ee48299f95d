import { type Inference, inferRoutes, type RouteNode, type RouteNote } from '../component/infer.ts'
import { referencesIn } from '../component/order.ts'
import type { Route } from '../component/routes.ts'
import { type Validation, validateRoutes } from '../component/validate.ts'
import type { Report } from './report.ts'
import type { Declared } from './resolve.ts'

/** Where output goes, before anything runs. */
export interface RoutePlan {
  readonly nodes: readonly RouteNode[]
  readonly routes: readonly Route[]
  readonly validation: Validation
  /** True when something goes to the built-in console. */
  readonly needsConsole: boolean
}

/** Works out where output goes, and tells of choices, circles and components that take no part. */
export function checkRoutes(components: readonly Declared[], strict: boolean, report: Report): RoutePlan {
  const nodes = components.map(({ spec, definition }): RouteNode => {
    const { name, kind, to, feedback, settings } = spec
    const role = spec.role ?? definition.role
    return { name, kind, role, to, feedback, references: referencesIn(settings) }
  })
  const inference: Inference = inferRoutes(nodes)
  const added = inference.routes.flatMap(({ to }) => to).filter((name) => !nodes.some((one) => one.name === name))
  const validation = validateRoutes(nodes, inference.routes, added)
  const byName = new Map(components.map((one) => [one.spec.name, one]))
  const tell = ({ component, code, message }: RouteNote, isError: boolean): void => {
    const declared = byName.get(component)
    // Unknown targets were told where they stand.
    if (declared === undefined || code === 'unknown-target') return
    if (isError) report.error(declared.source, declared.span, code, message)
    else report.warning(declared.source, declared.span, code, message)
  }
  // Where names are wrong, what goes where is not known: it would only repeat those faults.
  const isSure = !report.hasErrors
  for (const note of inference.warnings) tell(note, strict)
  for (const note of validation.issues) tell(note, strict)
  if (isSure) for (const note of validation.warnings) tell(note, false)
  return { nodes, routes: inference.routes, validation, needsConsole: inference.needsConsole }
}
