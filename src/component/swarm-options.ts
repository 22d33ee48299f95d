import type { Bus } from '../bus/bus.ts'
import type { Env } from '../kit/env.ts'
import type { Catalog } from './catalog.ts'
import type { EventFunction } from './component.ts'
import type { SwarmFault } from './fault.ts'
import type { RouteNote } from './infer.ts'
import type { Behaviour, Terminal } from './kind.ts'
import type { ComponentRegistry } from './registry.ts'
import type { Role } from './role.ts'
import type { Route } from './routes.ts'
import type { Sessions } from './sessions.ts'
import type { ComponentSpec, ScriptSpec } from './spec.ts'
import type { Validation } from './validate.ts'

/** A component that is written in code: a name, and what it does. */
export interface CodeComponent extends Behaviour {
  readonly name: string
  /** Default `code`. */
  readonly kind?: string
  /** Default `other`. */
  readonly role?: Role
  readonly to?: string | readonly string[]
  readonly feedback?: readonly string[]
}

/** How far a start is. */
export interface StartProgress {
  readonly component: string
  readonly kind: string
  readonly step: 'made' | 'ready'
  /** How many components have come so far, and how many there are. */
  readonly done: number
  readonly total: number
}

export interface StartOptions {
  readonly onProgress?: (progress: StartProgress) => void
  readonly signal?: AbortSignal
}

/** What a stop left behind. */
export interface StopReport {
  /** True when nothing was left. */
  readonly drained: boolean
  /** Messages that waited or were in hand when the time was up. */
  readonly left: number
  /** Components that did not end well. */
  readonly failed: readonly { readonly component: string; readonly error: unknown }[]
}

/** How a swarm is made. */
export interface SwarmOptions {
  /** The bus that carries everything. Closing it is left to whoever opened it. One swarm for each bus. */
  readonly bus: Bus
  /** The kinds that components may have. Default: none, for a swarm written in code. */
  readonly catalog?: Catalog
  /** Components as a file declares them. */
  readonly components?: readonly ComponentSpec[]
  /** The folder that files and modules are found in. Absolute. Default: where the process runs. */
  readonly folder?: string
  readonly terminal?: Terminal
  /** Told lines for whoever runs the swarm: addresses, choices. */
  readonly tell?: (line: string) => void
  /** Finds the function of a script hook or pipe. Needed as soon as a component has one. */
  readonly scripts?: (script: ScriptSpec) => EventFunction | Promise<EventFunction>
  /** A route that had to be chosen among several stops the start. Default false: a warning. */
  readonly strict?: boolean
  /** Most messages in a chain that cause each other. Default: `maxHops` of the bus, and never more. */
  readonly hopLimit?: number
  /** Milliseconds for the whole start. Default 30 000. */
  readonly startTimeoutMs?: number
  /** Told of what went wrong beside the messages: hooks, pipes, routes, cycles. */
  readonly onFault?: (fault: SwarmFault) => void
  /** Where the components are entered, for other processes to find. It is left open. */
  readonly registry?: ComponentRegistry
  /** What is told which components handle what of which session. It is left open. */
  readonly sessions?: Sessions
  readonly env?: Env
}

/** The states of a swarm. A stopped one does not start again: make another. */
export type SwarmState = 'new' | 'starting' | 'running' | 'stopping' | 'stopped'

/** Where output goes, while the swarm runs. */
export interface Routes {
  /** All routes, in the order of the components; a copy. */
  list(): readonly Route[]
  of(component: string): readonly string[]
  /** False when it was there already. Throws UNKNOWN_AGENT for a component that is not of this swarm. */
  add(from: string, to: string): boolean
  /** False when there was no such route. */
  remove(from: string, to: string): boolean
  /** Every path from an input to the end. */
  chains(): readonly (readonly string[])[]
  validate(): Validation
  /** Choices that were made among several when routes were inferred. */
  warnings(): readonly RouteNote[]
}
