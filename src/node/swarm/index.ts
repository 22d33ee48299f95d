// The door `swarmbus/ww`: reads, checks, formats, draws and runs `.ww` files.

export type { ComponentSpec, Place, ScriptSpec, Setting } from '../../component/spec.ts'
export { Reference } from '../../component/spec.ts'
export type { CommentNode, FileNode, Span } from '../../config/ast.ts'
export { DIAGNOSTICS, type DiagnosticCode, type DiagnosticRow } from '../../config/codes.ts'
export type { Diagnostic } from '../../config/diagnostic.ts'
export { format } from '../../config/format.ts'
export {
  type GraphEdge,
  type GraphNode,
  graphMermaid,
  graphOf,
  graphText,
  type SwarmGraph,
} from '../../config/graph.ts'
export { graphSvg } from '../../config/graph-svg.ts'
export {
  type BusDeclaration,
  type LoadedSwarm,
  type LoadOptions,
  loadSwarm,
  mustBeValid,
  renderLoaded,
  type SwarmText,
} from '../../config/load.ts'
export { LOAD_DIAGNOSTICS, type LoadCode } from '../../config/load-codes.ts'
export { parse } from '../../config/parser.ts'
export { type RenderOptions, renderDiagnostic } from '../../config/render.ts'
export type { RoutePlan } from '../../config/route-check.ts'
export { createSource, type Position, type Source } from '../../config/source.ts'
export { type BusPlace, placeOf } from './place.ts'
export { type OpenSwarmOptions, openSwarm, type RunStats, type SwarmRun } from './run.ts'
