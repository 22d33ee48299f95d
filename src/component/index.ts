// Building blocks on a bus: `import … from 'swarmbus/component'`. Listed by hand: what is not here is not promised.

export type { MessageBuilder, RequestContext } from './ask.ts'
export {
  type BootstrapConfig,
  type BootstrapHandler,
  type Bootstrapped,
  bootstrap,
  type LogLevel,
} from './bootstrap.ts'
export { type Catalog, createCatalog } from './catalog.ts'
export type {
  Component,
  ComponentStream,
  EmitOptions,
  EmitResult,
  EventFunction,
  EventInfo,
  HookOptions,
  PipeOptions,
  RouteFailure,
} from './component.ts'
export { eventOf } from './envelope.ts'
export { isRouted } from './events.ts'
export type { SwarmFault } from './fault.ts'
export type { Field, Fields } from './fields.ts'
export { type Attribution, currentComponent } from './frame.ts'
export { type Inference, type InferOptions, inferRoutes, type RouteNode, type RouteNote } from './infer.ts'
export type { Behaviour, KeyRule, KindDefinition, MakeContext, Terminal, ToolDescription } from './kind.ts'
export { KINDS } from './kinds/all.ts'
export { defineKind } from './kinds/define.ts'
export { type Knowledge, type KnowledgeBehaviour, knowledgeOf, type Piece } from './kinds/knowledge/knowledge.ts'
export { type LlmKind, llmKind } from './kinds/llm/llm.ts'
export {
  type Answer,
  collectAnswer,
  type Model,
  type ModelRequest,
  modelOf,
  type Part,
  type ToolCall,
  type Turn,
  withModel,
} from './kinds/llm/provider.ts'
export { type Memory, type MemoryBehaviour, memoryOf } from './kinds/memory/memory.ts'
export { durationMs, type Settings, settingsOf } from './kinds/settings.ts'
export { type ToolRequest, textOf, toolRequestOf } from './kinds/text.ts'
export { kindOfWords, type WordHint, type WordMeaning } from './kinds/words.ts'
export type { ComponentState } from './member.ts'
export { createPayloads, type PayloadOrigin, type Payloads, type PayloadType } from './payload.ts'
export { type Costs, type Measures, PERFORMANCE_EVENT, type Performance } from './performance.ts'
export { componentPool, type Pool, type PoolOptions, type ScalingRule, wantedInstances } from './pool.ts'
export {
  type ComponentEntry,
  type ComponentQuery,
  type ComponentRegistry,
  componentRegistry,
  type EntryChange,
  type EntryOptions,
  type Registration,
  type RegistryOptions,
} from './registry.ts'
export type { Role } from './role.ts'
export type { Route, RouteOrigin } from './routes.ts'
export { createSessions, type SessionInfo, type Sessions, type SessionsOptions } from './sessions.ts'
export { type ComponentSpec, type Place, Reference, type ScriptSpec, type Setting } from './spec.ts'
export type { ComponentStats, EventStats, RouterStats, RoutingInfo, SwarmStats } from './stats.ts'
export { createSwarm, type Swarm } from './swarm.ts'
export type {
  CodeComponent,
  Routes,
  StartOptions,
  StartProgress,
  StopReport,
  SwarmOptions,
  SwarmState,
} from './swarm-options.ts'
export { chainsOf, cyclesOf, type Validation, validateRoutes } from './validate.ts'
