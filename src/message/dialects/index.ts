// The door `swarmbus/dialects`: messages in the JSON forms of the systems that swarmbus unites.

export { cortexEventDialect, cortexTaskDialect, eventPriority, taskTopic } from './cortex.ts'
export type { Dialect, DialectOptions, Foreign } from './dialect.ts'
export {
  isSameAgent,
  RECIPIENTS_HEADER,
  recipientsOf,
  VERITAS_EVERYBODY,
  VERITAS_STATUSES,
  VERITAS_TYPES,
  type VeritasIdentity,
  type VeritasStatus,
  type VeritasType,
  veritasDialect,
} from './veritas.ts'
export { type BuildOptions, type VeritasBuilder, veritasBuilder } from './veritas-build.ts'
export {
  expired,
  retryAllowed,
  WOODWORK_MAX_RETRIES,
  WOODWORK_MODES,
  WOODWORK_PATTERNS,
  WOODWORK_TTL_S,
  type WoodworkMode,
  type WoodworkOptions,
  type WoodworkPattern,
  woodworkDialect,
} from './woodwork.ts'
export { type WoodworkBuilder, type WoodworkBuildOptions, woodworkBuilder } from './woodwork-build.ts'
export { zejzlDialect } from './zejzl.ts'
