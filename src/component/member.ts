import type { Agent } from '../bus/directory.ts'
import type { Handler } from '../bus/handler.ts'
import { EventTable, EventView } from './events.ts'
import type { Behaviour } from './kind.ts'
import { ComponentBook } from './performance.ts'
import type { Role } from './role.ts'
import type { ComponentSpec } from './spec.ts'

/** Every state: see {@link ComponentState}. */
export const COMPONENT_STATES = ['initializing', 'ready', 'active', 'failed', 'shutting_down', 'terminated'] as const

/** How far a component is. */
export type ComponentState = (typeof COMPONENT_STATES)[number]

/** Counters of one component. */
export interface MemberCounts {
  emitted: number
  sent: number
  received: number
  /** Emitted events that went to targets. */
  routed: number
  routeFailures: number
  hooksRun: number
  hookFailures: number
  listenerFailures: number
  pipeFailures: number
  handlingFailures: number
  requests: number
  requestFailures: number
}

/** What a component is made of, inside the swarm. */
export class Member {
  readonly name: string
  readonly kind: string
  readonly role: Role
  readonly spec: ComponentSpec
  /** The components that its settings name. */
  readonly references: readonly string[]
  readonly table = new EventTable()
  readonly view: EventView
  readonly book = new ComponentBook()
  readonly counts: MemberCounts = {
    emitted: 0,
    sent: 0,
    received: 0,
    routed: 0,
    routeFailures: 0,
    hooksRun: 0,
    hookFailures: 0,
    listenerFailures: 0,
    pipeFailures: 0,
    handlingFailures: 0,
    requests: 0,
    requestFailures: 0,
  }
  /** Events that go to its targets besides those that always do. */
  routedEvents: ReadonlySet<string>
  behaviour: Behaviour | undefined
  /** What handles messages: its `handle` with all that is around it. */
  handle: Handler | undefined
  agent: Agent | undefined = undefined
  #state: ComponentState = 'initializing'
  /** Told of every change of its state. */
  onState: ((state: ComponentState) => void) | undefined = undefined
  /** Called when it is no component of the swarm any more. */
  onGone: (() => void) | undefined = undefined
  /** Its `start` was called. */
  started = false
  /** It is being brought up, alone, while the swarm runs. */
  coming: Promise<void> | undefined = undefined
  /** It is being ended, whoever asked for it. */
  ending: Promise<void> | undefined = undefined
  /** It is being taken out of the swarm. */
  leaving: Promise<void> | undefined = undefined
  /** Wall-clock milliseconds of the last message. */
  lastAt: number | undefined = undefined

  constructor(
    spec: ComponentSpec,
    role: Role,
    references: readonly string[],
    behaviour: Behaviour | undefined,
    shared: EventTable,
  ) {
    this.name = spec.name
    this.kind = spec.kind
    this.role = role
    this.spec = spec
    this.references = references
    this.view = new EventView(this.table, shared)
    this.behaviour = behaviour
    this.handle = wrapped(behaviour)
    this.routedEvents = routedBy(spec, behaviour)
  }

  get state(): ComponentState {
    return this.#state
  }

  set state(state: ComponentState) {
    if (state === this.#state) return
    this.#state = state
    this.onState?.(state)
  }

  /** What it does, once it was made. */
  take(behaviour: Behaviour): void {
    this.behaviour = behaviour
    this.handle = wrapped(behaviour)
    this.routedEvents = routedBy(this.spec, behaviour)
  }
}

/** The event under which the result of a component goes on. */
export function producesOf(behaviour: Behaviour | undefined): string {
  return behaviour?.produces ?? 'response_generated'
}

/** Its `handle`, with the middleware around it. */
export function wrapped(behaviour: Behaviour | undefined): Handler | undefined {
  const { handle, middleware = [] } = behaviour ?? {}
  // Called as a function of the behaviour, whatever class it is of.
  const own: Handler | undefined = handle === undefined ? undefined : handle.bind(behaviour)
  return own === undefined ? undefined : middleware.reduceRight<Handler>((next, one) => one(next), own)
}

function routedBy(spec: ComponentSpec, behaviour: Behaviour | undefined): ReadonlySet<string> {
  return new Set([...(spec.routes ?? []), ...(behaviour?.routes ?? []), producesOf(behaviour)])
}
