import type { Chunk, Publisher, RequestOptions, RequestStreamOptions } from '../bus/publisher.ts'
import type { Role } from './role.ts'

/** Called for an event. Hooks and listeners: the result counts for nothing. Pipes: the result takes the place of the payload, undefined leaves it. */
export type EventFunction = (payload: unknown, info: EventInfo) => unknown

/** Who emitted what, when. */
export interface EventInfo {
  readonly event: string
  readonly component: string
  readonly componentType: string
  readonly session: string | undefined
  /** Wall-clock milliseconds. */
  readonly time: number
}

/** What became of an emitted event. */
export interface EmitResult {
  /** Components that have it now, in the order of the route. */
  readonly delivered: readonly string[]
  /** Components that could not get it, and why. */
  readonly failed: readonly { readonly target: string; readonly error: unknown }[]
  /** The name of the pipe that stopped it; undefined when none did. */
  readonly stoppedBy: string | undefined
}

/** One component of a swarm. */
export interface Component {
  readonly name: string
  readonly kind: string
  readonly role: Role
  /** Verbs that carry its name and the session and cause of the message in hand. */
  readonly bus: Publisher
  /**
   * Emits an event: it is checked as its payload type says, shown to hooks, changed by pipes, told to listeners, then routed to the targets of
   * the component (or to `target` alone). Resolves when every target has it. Rejects with SCHEMA_MISMATCH for a payload that its event does
   * not allow; the faults of targets are in the result.
   */
  emit(event: string, payload: unknown, options?: EmitOptions): Promise<EmitResult>
  /** Emits, and does not wait; a failure is told to the swarm. */
  emitSoon(event: string, payload: unknown, options?: EmitOptions): void
  on(event: string, run: EventFunction): () => void
  hook(event: string, run: EventFunction): () => void
  pipe(event: string, run: EventFunction, options?: PipeOptions): () => void
  /** Asks another component. Rejects with UNKNOWN_AGENT at once, REQUEST_TIMEOUT (default 5 s) or HANDLER_FAILED. */
  request(target: string, data: unknown, options?: RequestOptions): Promise<unknown>
  /** Several at once; results in the order of the list, rejects with the first failure. */
  requestMultiple(
    requests: readonly (readonly [target: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<readonly unknown[]>
  /** The parts of an answer as they are produced; an error is a final chunk with `metadata.error`. */
  requestStream(target: string, data: unknown, options?: RequestStreamOptions): AsyncIterable<Chunk>
  /** Sends to one component directly, whatever the routes say. */
  send(target: string, event: string, payload: unknown, options?: EmitOptions): Promise<EmitResult>
}

export interface EmitOptions {
  /** Only to this component. */
  readonly target?: string
  /** Default: the session of the message in hand. */
  readonly session?: string
}

export interface PipeOptions {
  /** Its name in dead letters and figures. Default: the function's. */
  readonly name?: string
  /** Its failure lets the payload pass as it was. Default false. */
  readonly optional?: boolean
}
