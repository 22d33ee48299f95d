import type { Chunk, Publisher, RequestOptions, RequestStreamOptions } from '../bus/publisher.ts'
import type { StreamOptions, StreamWriter } from '../bus/streams.ts'
import type { Priority } from '../message/priority.ts'
import type { MessageBuilder, RequestContext } from './ask.ts'
import type { Measures } from './performance.ts'
import type { Role } from './role.ts'

/**
 * Called for an event. Hooks and listeners: the result counts for nothing, and the payload cannot be changed. Pipes: the payload is a
 * copy, the result takes its place, undefined leaves it as it was.
 */
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
  /** As it came out of the pipes; as it went into the one that stopped it. */
  readonly payload: unknown
  /** Components that have it now, in the order of the route. */
  readonly delivered: readonly string[]
  /** Components that could not get it, and why. */
  readonly failed: readonly RouteFailure[]
  /** The name of the pipe that stopped it; undefined when none did. */
  readonly stoppedBy: string | undefined
}

/** A target that did not get what was emitted. */
export interface RouteFailure {
  readonly target: string
  readonly error: unknown
}

/** One component of a swarm. */
export interface Component {
  readonly name: string
  readonly kind: string
  readonly role: Role
  /** Verbs that carry its name and the session and cause of the message in hand. */
  readonly bus: Publisher
  /** The session of the message in hand. */
  readonly session: string | undefined
  /** Where its output goes now; a copy. */
  readonly targets: readonly string[]
  /**
   * Emits an event: its payload is checked as its type says, shown to hooks, changed by pipes and told to listeners. An event that is
   * routed (`response_generated` and others like it, those that the component lists) then goes to the targets of the component, or to
   * `target` alone, which makes any event go. Resolves when every target has it. Rejects with SCHEMA_MISMATCH for a payload that its
   * event does not allow, with NOT_RUNNING before the swarm starts and when the component has ended; faults of targets and pipes are in the result, and become dead letters of this component.
   */
  emit(event: string, payload: unknown, options?: EmitOptions): Promise<EmitResult>
  /** Emits, and does not wait; a failure is told to the swarm. */
  emitSoon(event: string, payload: unknown, options?: EmitOptions): void
  /** Sends to one component directly, whatever the routes say: `emit` with a target. */
  send(target: string, event: string, payload: unknown, options?: EmitOptions): Promise<EmitResult>
  /** Listens to an event of this component, after its pipes. `*` is any event, `tool.*` any that begins so. Returns how to end it. */
  on(event: string, run: EventFunction): () => void
  /** Sees an event of this component before its pipes. Runs beside the message: its faults are counted, and never delay anything. */
  hook(event: string, run: EventFunction, options?: HookOptions): () => void
  /** May change or stop an event of this component. Runs in the order in which pipes were added, before those of the swarm. */
  pipe(event: string, run: EventFunction, options?: PipeOptions): () => void
  /** Ends whatever was added for the event with this function. False when there was nothing. */
  off(event: string, run: EventFunction): boolean
  /** Asks another component. Rejects with UNKNOWN_AGENT at once, REQUEST_TIMEOUT (default 5 s) or HANDLER_FAILED. */
  request(target: string, data: unknown, options?: RequestOptions): Promise<unknown>
  /** Several at once; results in the order of the list, rejects with the first failure. */
  requestMultiple(
    requests: readonly (readonly [target: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<readonly unknown[]>
  /** The parts of an answer as they are produced; an error is a final chunk with `metadata.error`. */
  requestStream(target: string, data: unknown, options?: RequestStreamOptions): AsyncIterable<Chunk>
  /** A request in steps: `message().to('tool').withData(data).timeout(5).sendAndWait()`. */
  message(): MessageBuilder
  /** Requests to one component with one time limit; disposal gives up those that are open. */
  requestContext(target: string, options?: RequestOptions): RequestContext
  /** Opens a stream; send its `reference` to whoever reads it. */
  openStream(options?: StreamOptions): ComponentStream
  /** The parts of a stream by its reference (`stream:…`) or id. */
  readStream(reference: string): AsyncIterable<Chunk>
  /** Adds to the figures of the handling in hand, or, without one, of the component: tokens, cost and whatever else counts. */
  measure(figures: Measures): void
}

/** A stream of a component. */
export interface ComponentStream extends StreamWriter {
  /** The text that stands for the stream in a message: `stream:` and its id. */
  readonly reference: string
}

export interface EmitOptions {
  /** Only to this component, whether the event is routed or not. */
  readonly target?: string
  /** Default: the session of the message in hand. */
  readonly session?: string
  /** False: check, hooks, pipes and listeners only. Default: as the event is. */
  readonly route?: boolean
  /** Default `normal`. */
  readonly priority?: Priority
}

export interface HookOptions {
  /** Sees what came out of the pipes instead. Default false. */
  readonly after?: boolean
}

export interface PipeOptions {
  /** Its name in dead letters and figures. Default: the function's. */
  readonly name?: string
  /** Its failure lets the payload pass as it was. Default false. */
  readonly optional?: boolean
}
