import type { Bus } from '../bus/bus.ts'
import type { Handler, Middleware } from '../bus/handler.ts'
import type { Env } from '../kit/env.ts'
import type { Component, EventFunction } from './component.ts'
import type { SwarmFault } from './fault.ts'
import type { Role } from './role.ts'
import type { ComponentSpec } from './spec.ts'

/** What a key of a block may hold. */
export interface KeyRule {
  /**
   * `reference`: the name of a component, or a block with a kind of its own. `targets`: a name or a list of names. `duration`: seconds as a
   * number, or text such as `30s`.
   */
  readonly type:
    | 'text'
    | 'number'
    | 'whole'
    | 'flag'
    | 'list'
    | 'texts'
    | 'block'
    | 'reference'
    | 'references'
    | 'duration'
    | 'any'
  /** Default false. A text: or this variable of the environment must be set. */
  readonly required?: boolean | string
  /** A key of the same block that makes it unnecessary. */
  readonly unless?: string
  /** The only values. */
  readonly allowed?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** In force when the key is missing; for people, too. */
  readonly default?: string | number | boolean
  /** Known from other files, and not obeyed: why, for whoever sets it. */
  readonly noEffect?: string
  /** Its value is never shown. */
  readonly secret?: boolean
  /** The roles that a reference may have. */
  readonly roles?: readonly Role[]
  /** One line for people. */
  readonly summary: string
}

/** A kind of component: what the checker knows of it, and how it is made. */
export interface KindDefinition {
  /** As it stands in a file: one word or two. */
  readonly kind: string
  /** Other spellings. */
  readonly also?: readonly string[]
  readonly role: Role
  readonly summary: string
  readonly keys: Readonly<Record<string, KeyRule>>
  /** Keys that nobody listed are no fault. Default false: a warning. */
  readonly anyKeys?: boolean
  /** For a kind that this machine or version cannot run: one sentence that says why, and what to do instead. It is refused at the start. */
  readonly unavailable?: string
  /**
   * Why one with these keys cannot run; undefined when it may. Refused as `unavailable` is. `textOf` knows only texts, and only those of
   * variables that are set.
   */
  readonly cannotRun?: (
    has: (key: string) => boolean,
    textOf: (key: string) => string | undefined,
  ) => string | undefined
  /** Makes one. Throws BusError; nothing is started yet. */
  readonly make?: (spec: ComponentSpec, context: MakeContext) => Behaviour | Promise<Behaviour>
}

/** What a component that is being made gets from its swarm. */
export interface MakeContext {
  readonly env: Env
  /** The bus of the swarm, for kinds that listen on topics of their own. Closing it is not theirs. */
  readonly bus: Bus
  /** The folder of the file: paths and modules are found beside it. Absolute. */
  readonly folder: string
  readonly terminal: Terminal
  /** The behaviour of another component, which was made before: references are made first. Throws UNKNOWN_AGENT. */
  behaviour(name: string): Behaviour
  /** Every component of the swarm, in the order of the file. */
  components(): readonly { readonly name: string; readonly kind: string; readonly role: Role }[]
  /** Where the output of a component goes now. */
  targets(name: string): readonly string[]
  /** Told of every event of every component, after the pipes, and only of what no pipe stopped. Its faults are counted. Returns how to end it. */
  observe(run: EventFunction): () => void
  /** Told of every fault of the swarm. Returns how to end it. */
  onFault(run: (fault: SwarmFault) => void): () => void
  /** Resolves once nothing that was emitted or asked before, or follows from it, waits or is in hand in a component of this process. */
  idle(): Promise<void>
  /** A line for whoever runs the swarm: an address that is listened on, a choice that was made. */
  tell(line: string): void
}

/** Where the swarm meets a person. The program gives the process's own; a test gives its own. */
export interface Terminal {
  /** Lines of input; ends when there are no more. */
  lines(): AsyncIterable<string>
  /** True when a person types. */
  readonly interactive: boolean
  write(text: string): void
}

/** What a tool says of itself. */
export interface ToolDescription {
  readonly name: string
  readonly summary: string
  /** JSON Schema of the inputs. */
  readonly inputs: Readonly<Record<string, unknown>>
}

/** What one kind does: the component around it does the rest (registration, hooks, pipes, routing, figures). */
export interface Behaviour {
  /**
   * Called for what is routed or asked; `message.headers.event` is the event, `message.from` its component. Its result answers a
   * request; that of anything routed is emitted as `produces`; undefined is neither. The parts of an async generator answer
   * `requestStream` one by one, and go to targets that stream as a stream, if the behaviour allows it; else they are collected: texts
   * and bytes are joined, anything else becomes a list.
   */
  readonly handle?: Handler
  /** Put around `handle`, the first one outermost: circuit breakers, retries, limits. */
  readonly middleware?: readonly Middleware[]
  /** Default `response_generated`. */
  readonly produces?: string
  /** Events that go to its targets besides those that always do; `produces` is one. */
  readonly routes?: readonly string[]
  /** Takes streams: `message.data` is then the text `stream:ID`, for `readStream`. Default false: it gets the collected parts. */
  readonly streamingInput?: boolean
  /** Its parts may be handed on as a stream. Default false. */
  readonly streamingOutput?: boolean
  /** Most messages in hand at once. Default: as the bus has it. */
  readonly concurrency?: number
  /** Milliseconds that one handling may take. Default: as the bus has it. */
  readonly handlerTimeoutMs?: number
  /** What it can do, for those who look for a capability. */
  readonly capabilities?: readonly string[]
  /** What it can be asked as a tool: `{ action, inputs }`. */
  readonly tools?: () => readonly ToolDescription[]
  /** Begins: everything that it emits, it emits by the component. Resolves once it is ready. */
  readonly start?: (own: Component) => void | Promise<void>
  /** Takes nothing new from outside; answers still go out. Called first when the swarm stops. */
  readonly pause?: () => void | Promise<void>
  /** Ends, within the limit. Called once, also when `start` has failed. */
  readonly stop?: (limitMs: number) => void | Promise<void>
  /** For an input: resolves when there is nothing more to come, and every answer to what came was given. */
  readonly ended?: Promise<void>
}
