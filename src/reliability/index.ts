// What keeps work going when something fails: `import … from 'swarmbus/reliability'`. Listed by hand: what is not here is not promised.

export { type Bulkhead, type BulkheadOptions, bulkhead } from './bulkhead.ts'
export {
  CIRCUIT_PRESETS,
  type CircuitBreaker,
  type CircuitChange,
  type CircuitCounts,
  type CircuitOptions,
  type CircuitPreset,
  type CircuitState,
  circuitBreaker,
  circuitPreset,
} from './circuit-breaker.ts'
export { type CircuitBreakers, type CircuitBreakersOptions, circuitBreakers } from './circuit-breakers.ts'
export { type IdempotentOptions, idempotent } from './dedup.ts'
export {
  type IdempotencyStore,
  type IdempotencyStoreOptions,
  logIdempotency,
  memoryIdempotency,
} from './idempotency-store.ts'
export { addLedgers, balance, type ChannelLedger, channelLedger, groupLedger } from './ledger.ts'
export { type RateLimit, type RateLimitOptions, rateLimit } from './rate-limit.ts'
export {
  type Jitter,
  RETRY_PRESETS,
  type RetryOptions,
  type RetryPolicy,
  type RetryPreset,
  retryPolicy,
  retryPreset,
} from './retry.ts'
export { type RetryHandlerOptions, type RetryNotice, retry } from './retry-middleware.ts'
export {
  type HandlerStats,
  type HandlerStatsCollector,
  type HandlerStatsOptions,
  handlerStats,
  type LastFailure,
} from './stats.ts'
export { type TimeoutOptions, timeout } from './timeout.ts'
export {
  countsAsAttempt,
  ERROR_VERDICTS,
  isFailedResult,
  leftMsOf,
  type NotRetryable,
  notRetryable,
  REASON_VERDICTS,
  type Retryable,
  retryable,
  type Verdict,
  type VerdictOptions,
  type VerdictRow,
  verdict,
} from './verdict.ts'
