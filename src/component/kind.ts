import type { Handler } from '../bus/handler.ts'
import type { Env } from '../kit/env.ts'
import type { Component } from './component.ts'
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
  /** The only values. */
  readonly allowed?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** In force when the key is missing; for people, too. */
  readonly default?: string | number | boolean
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
  /** Makes one. Throws BusError; nothing is started yet. */
  readonly make?: (spec: ComponentSpec, context: MakeContext) => Behaviour | Promise<Behaviour>
}

/** What a component that is being made gets from its swarm. */
export interface MakeContext {
  readonly env: Env
  /** The folder of the file: paths and modules are found beside it. Absolute. */
  readonly folder: string
  readonly terminal: Terminal
  /** The behaviour of another component, which was made before: references are made first. Throws UNKNOWN_AGENT. */
  behaviour(name: string): Behaviour
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
   * Called for what is routed or asked. Its result answers a request; that of anything routed is emitted as `produces`; undefined is
   * neither. An async generator answers a request as a stream; of anything routed its parts are collected, unless the targets stream.
   */
  readonly handle?: Handler
  /** Default `response_generated`. */
  readonly produces?: string
  /** What it can be asked as a tool: `{ action, inputs }`. */
  readonly tools?: () => readonly ToolDescription[]
  /** Begins: everything that it emits, it emits by the component. Resolves once it is ready. */
  readonly start?: (own: Component) => void | Promise<void>
  /** Ends, within the limit. Called once, also when `start` has failed. */
  readonly stop?: (limitMs: number) => void | Promise<void>
  /** For an input: resolves when there is nothing more to come, and every answer to what came was given. */
  readonly ended?: Promise<void>
}
