import type { Bus } from '../bus/bus.ts'
import {
  aFlag,
  aFunction,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  type Rule,
  whole,
} from '../kit/check.ts'
import { systemEnv } from '../kit/env.ts'
import { createCatalog } from './catalog.ts'
import type { Component, EventFunction, HookOptions, PipeOptions } from './component.ts'
import type { SwarmFault } from './fault.ts'
import type { RouteNode } from './infer.ts'
import type { Payloads } from './payload.ts'
import type { Costs } from './performance.ts'
import { Runtime } from './runtime.ts'
import type { ComponentSpec } from './spec.ts'
import type { SwarmStats } from './stats.ts'
import type { CodeComponent, Routes, StartOptions, StopReport, SwarmOptions, SwarmState } from './swarm-options.ts'

/** Components on one bus. Ends with `await using`, which drains. */
export interface Swarm extends AsyncDisposable {
  readonly bus: Bus
  readonly state: SwarmState
  readonly payloads: Payloads
  readonly routes: Routes
  /** Adds a component, written in code or declared. While the swarm runs it is started at once. */
  add(component: CodeComponent | ComponentSpec): Promise<Component>
  /** Ends a component: what waits for it is handled first. False when there is none of the name. */
  remove(name: string): Promise<boolean>
  /** Throws UNKNOWN_AGENT, with the nearest name. */
  component(name: string): Component
  components(): readonly RouteNode[]
  /** Listens to an event of every component. */
  on(event: string, run: EventFunction): () => void
  hook(event: string, run: EventFunction, options?: HookOptions): () => void
  /** Runs behind the pipes of the component itself. */
  pipe(event: string, run: EventFunction, options?: PipeOptions): () => void
  off(event: string, run: EventFunction): boolean
  /** Makes every component, then starts them: what others need first, outputs before what sends to them. Rejects with START_FAILED, CONFIG_INVALID. */
  start(options?: StartOptions): Promise<void>
  /** Inputs take nothing new, what is on its way is handled, then everything ends, in reverse. */
  stop(options?: { readonly limitMs?: number }): Promise<StopReport>
  /** Resolves once nothing is on its way in this process; what is held for a component that is not there does not count. */
  idle(): Promise<void>
  /** Resolves when every input has ended, and what came of it is done. Never, while there is an input that does not end, or none. */
  readonly ended: Promise<void>
  stats(): SwarmStats
  /** What a session came to; undefined for an unknown one. */
  costs(session: string): Costs | undefined
  /** The newest faults, oldest first. */
  faults(): readonly SwarmFault[]
}

const aBus: Rule = {
  allowed: 'a bus, as createBus() makes one',
  ok: (value) => typeof (value as Partial<Bus> | undefined)?.register === 'function',
}
const RULES: Readonly<Record<string, Rule>> = {
  bus: aBus,
  catalog: anObject,
  components: anObject,
  folder: aText,
  terminal: anObject,
  tell: aFunction,
  scripts: aFunction,
  strict: aFlag,
  hopLimit: whole(1, 1_000),
  startTimeoutMs: milliseconds(1),
  onFault: aFunction,
  registry: anObject,
  sessions: anObject,
  env: anObject,
}
const START_RULES: Readonly<Record<string, Rule>> = { onProgress: aFunction, signal: anObject }
const STOP_RULES: Readonly<Record<string, Rule>> = { limitMs: milliseconds(0) }

/**
 * Makes a swarm of components on a bus. Throws INVALID_OPTION, or CONFIG_INVALID for two components of one name, or a kind that the
 * catalogue does not have.
 *
 * @example
 * await using bus = createBus()
 * await using swarm = createSwarm({ bus })
 * await swarm.add({ name: 'shout', role: 'agent', handle: ({ data }) => String(data).toUpperCase() })
 * await swarm.add({ name: 'out', role: 'output', handle: ({ data }) => void print(data) })
 * const source = await swarm.add({ name: 'in', role: 'input' })
 * await swarm.start()
 * await source.emit('input_received', 'hello') // in → shout → out, without a word about routes
 */
export function createSwarm(options: SwarmOptions): Swarm {
  checkOption('createSwarm', 'options', options, anObject)
  checkOptions('createSwarm', options, RULES)
  checkOption('createSwarm', 'bus', options.bus, aBus)
  const { bus, catalog = createCatalog(), env = systemEnv() } = options
  const runtime = new Runtime({ ...options, bus, catalog, env })
  for (const spec of options.components ?? []) runtime.declare(spec)
  return Object.freeze({
    bus,
    get state() {
      return runtime.state
    },
    payloads: runtime.payloads,
    routes: runtime.routes,
    get ended() {
      return runtime.ended
    },
    async add(component) {
      checkOption('add', 'component', component, anObject)
      return runtime.add(component)
    },
    remove: (name) => runtime.remove(name),
    component: (name) => runtime.component(name),
    components: () => runtime.nodes(),
    on: (event, run) => runtime.shared.on(event, run),
    hook: (event, run, how) => runtime.shared.hook(event, run, how),
    pipe: (event, run, how) => runtime.shared.pipe(event, run, how),
    off: (event, run) => runtime.shared.off(event, run),
    async start(how = {}) {
      checkOptions('start', how, START_RULES)
      await runtime.start(how)
    },
    async stop(how = {}) {
      checkOptions('stop', how, STOP_RULES)
      return runtime.stop(how.limitMs)
    },
    idle: () => runtime.idle(),
    stats: () => runtime.stats(),
    costs: (session) => runtime.costs(session),
    faults: () => runtime.faults(),
    async [Symbol.asyncDispose]() {
      await runtime.stop(undefined)
    },
  } satisfies Swarm)
}
