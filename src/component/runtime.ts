import type { Bus } from '../bus/bus.ts'
import { aText, checkOption, checkOptions } from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { agentTopic } from '../message/address.ts'
import type { Message } from '../message/message.ts'
import { Busy } from './busy.ts'
import type { Catalog } from './catalog.ts'
import { CODE_RULES, specOf } from './code.ts'
import type { Component } from './component.ts'
import { Emitter } from './emitter.ts'
import { enterIn } from './enter.ts'
import { EventTable } from './events.ts'
import type { SwarmFault } from './fault.ts'
import { FaultBook } from './fault-book.ts'
import { handlerOf } from './handle.ts'
import { inferRoutes, type RouteNode, type RouteNote } from './infer.ts'
import type { Behaviour, KeyRule } from './kind.ts'
import { LiveComponent } from './live.ts'
import { Member } from './member.ts'
import { nearest } from './nearest.ts'
import { referencesIn, startOrder } from './order.ts'
import { createPayloads } from './payload.ts'
import {
  type Costs,
  type Measures,
  PERFORMANCE_EVENT,
  performanceOf,
  SessionBook,
  sumOf,
  type Taken,
} from './performance.ts'
import { RoutingTable } from './routes.ts'
import type { ComponentSpec } from './spec.ts'
import { Starter } from './starter.ts'
import { type SwarmStats, statsOf } from './stats.ts'
import { Stopper } from './stopper.ts'
import type { CodeComponent, Routes, StartOptions, StopReport, SwarmOptions, SwarmState } from './swarm-options.ts'
import { chainsOf, type Validation, validateRoutes } from './validate.ts'

/** The options of a swarm with what must be there. */
export interface RuntimeOptions extends SwarmOptions {
  readonly bus: Bus
  readonly catalog: Catalog
  readonly env: Env
}

/** The parts of one swarm. `swarm.ts` is its face. */
export class Runtime {
  readonly options: RuntimeOptions
  readonly bus: Bus
  readonly payloads = createPayloads()
  readonly shared = new EventTable()
  readonly members = new Map<string, Member>()
  readonly lives = new Map<string, LiveComponent>()
  readonly table = new RoutingTable()
  readonly sessions = new SessionBook()
  readonly busy: Busy
  readonly emitter: Emitter
  readonly isKept: boolean
  readonly hopLimit: number
  readonly routes: Routes
  state: SwarmState = 'new'
  /** Those that run, in the order in which they were started. */
  started: Member[] = []
  readonly book: FaultBook
  #warnings: readonly RouteNote[] = []
  readonly #ended = Promise.withResolvers<void>()
  #stopping: Promise<StopReport> | undefined = undefined

  constructor(options: RuntimeOptions) {
    this.options = options
    this.bus = options.bus
    this.busy = new Busy(options.bus, options.env)
    this.book = new FaultBook(options.bus, this.isOwn, options.onFault)
    this.isKept = hasLog(options.bus)
    const { maxHops } = options.bus.stats().config
    this.hopLimit = Math.min(options.hopLimit ?? maxHops, maxHops)
    const token = Math.floor(options.env.random() * 0x1_0000_0000).toString(36)
    this.emitter = new Emitter(this, `${options.env.wallMs().toString(36)}-${token}`)
    this.routes = Object.freeze({
      list: () => [...this.members.keys()].flatMap((name) => this.table.get(name) ?? []),
      of: (name) => this.table.of(name),
      add: (from, to) => this.table.add(this.get(from).name, checkedName('routes.add', to)),
      remove: (from, to) => this.table.remove(this.get(from).name, to),
      chains: () => chainsOf(this.nodes(), this.table.list()),
      validate: () => this.validate(),
      warnings: () => this.#warnings,
    } satisfies Routes)
  }

  // What emitter, handlers and components need.
  targetsOf = (name: string): readonly string[] => this.table.of(name)
  takesStreams = (name: string): boolean => this.members.get(name)?.behaviour?.streamingInput === true
  isOwn = (name: string): boolean => this.members.has(name)
  names = (): Iterable<string> => this.members.keys()
  wallMs = (): number => this.options.env.wallMs()
  nowMs = (): number => this.options.env.monotonicMs()

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  fault = (fault: SwarmFault): void => this.book.add(fault)
  told = (message: Message): void => this.book.told(message)
  cycle = (member: Member, event: string, path: readonly string[], error: unknown): void =>
    this.book.cycle(member.name, event, path, this.hopLimit, error)

  takes(member: Member, { session }: Message): void {
    member.counts.received++
    member.lastAt = this.wallMs()
    if (session !== undefined) this.options.sessions?.touch(session, member.name)
  }

  took(member: Member, session: string | undefined, taken: Taken): void {
    member.book.add(taken)
    this.sessions.add(session, taken)
    const { hooks, pipes, after, listeners } = member.view.of(PERFORMANCE_EVENT)
    if (hooks.length + pipes.length + after.length + listeners.length === 0) return
    const how = { route: false, ...(session === undefined ? {} : { session }) }
    this.lives.get(member.name)?.emitSoon(PERFORMANCE_EVENT, performanceOf(taken), how)
  }

  measured(member: Member, session: string | undefined, figures: Measures): void {
    this.took(member, session, { ...sumOf(0, [figures]), handlings: 0 })
  }

  /** Throws UNKNOWN_AGENT, with the nearest name. */
  get(name: string): Member {
    const found = this.members.get(name)
    if (found !== undefined) return found
    const near = nearest(String(name), this.members.keys())
    const hint = near === undefined ? '' : `; did you mean "${near}"?`
    throw new BusError('UNKNOWN_AGENT', `there is no component "${name}"${hint}`, {
      details: { wanted: name, nearest: near, known: [...this.members.keys()].slice(0, 20) },
    })
  }

  component(name: string): Component {
    return this.lives.get(this.get(name).name) as LiveComponent
  }

  nodes(): readonly RouteNode[] {
    return [...this.members.values()].map(({ name, kind, role, spec, references }) => ({
      name,
      kind,
      role,
      to: spec.to,
      feedback: spec.feedback,
      references,
    }))
  }

  /** A component as a file declares it; it is made at the start. */
  declare(spec: ComponentSpec): Member {
    const definition = this.options.catalog.get(spec.kind)
    return this.#enter(spec, spec.role ?? definition.role, undefined, definition.keys)
  }

  async add(component: CodeComponent | ComponentSpec): Promise<Component> {
    if (this.state === 'stopping' || this.state === 'stopped') {
      throw new BusError('NOT_RUNNING', `add: the swarm is ${this.state}`, { details: { state: this.state } })
    }
    let member: Member
    if ('settings' in component) member = this.declare(component)
    else {
      checkOptions('add', component, CODE_RULES)
      member = this.#enter(specOf(component), component.role ?? 'other', component)
    }
    if (this.state === 'running') {
      this.infer()
      try {
        await this.#startNew()
      } catch (error) {
        await this.remove(member.name)
        throw error
      }
    }
    return this.component(member.name)
  }

  async remove(name: string): Promise<boolean> {
    const member = this.members.get(name)
    if (member === undefined) return false
    if (member.leaving !== undefined) {
      await member.leaving
      return false
    }
    member.leaving = this.#remove(member)
    await member.leaving
    return true
  }

  async #remove(member: Member): Promise<void> {
    const { name } = member
    await member.coming?.catch(() => undefined)
    await new Stopper(this).stopOne(member, undefined)
    member.onGone?.()
    this.members.delete(name)
    this.lives.delete(name)
    this.table.delete(name)
    this.emitter.outlet.forget(name)
    this.started = this.started.filter((one) => one !== member)
    if (this.state === 'running') {
      this.infer()
      await this.#startNew()
    }
  }

  /** Starts what came while the swarm runs, each once: what was added, and the console that is needed now. */
  async #startNew(): Promise<void> {
    const isNew = (one: Member): boolean => !one.started && one.coming === undefined && one.state === 'initializing'
    const fresh = startOrder([...this.members.values()].filter(isNew), this.targetsOf)
    for (const member of fresh) member.coming = this.#bring(member)
    await Promise.all(fresh.flatMap((one) => one.coming ?? []))
  }

  /** Starts one, behind those that it names and that are being started. */
  async #bring(member: Member): Promise<void> {
    await Promise.all(member.references.flatMap((name) => this.members.get(name)?.coming ?? []))
    await new Starter(this).startOne(member)
  }

  /** Why a component cannot emit; undefined when it can. */
  refusal({ name, state }: Member): BusError | undefined {
    if (this.state !== 'new' && this.state !== 'stopped' && state !== 'terminated') return undefined
    const why = state === 'terminated' ? `"${name}" has ended` : `the swarm is ${this.state}`
    return new BusError('NOT_RUNNING', `emit: ${why}`, { details: { component: name, state: this.state } })
  }

  #enter(
    spec: ComponentSpec,
    role: Member['role'],
    behaviour: Behaviour | undefined,
    keys?: Readonly<Record<string, KeyRule>>,
  ): Member {
    checkOption('add', 'name', spec.name, aText)
    agentTopic(spec.name)
    if (this.members.has(spec.name)) {
      throw new BusError('CONFIG_INVALID', `there is a component "${spec.name}" already`, {
        details: { component: spec.name },
      })
    }
    const references = referencesIn(spec.settings, keys)
    const member = new Member(spec, role, references, behaviour, this.shared)
    const { registry } = this.options
    if (registry !== undefined) enterIn(registry, member, this.bus)
    this.members.set(spec.name, member)
    this.lives.set(spec.name, new LiveComponent(member, this))
    this.table.set(spec.name, spec.to ?? [], 'declared')
    return member
  }

  /** Sets the routes that follow from the roles; what was changed at run time stays. */
  infer(): void {
    const { routes, warnings, needsConsole } = inferRoutes(this.nodes())
    this.#warnings = warnings
    for (const { from, to, origin } of routes) {
      if (this.table.get(from)?.origin !== 'changed') this.table.set(from, to, origin)
    }
    if (needsConsole) this.#addConsole()
  }

  /** The output of a swarm that has none. Without a kind for it, what would go there goes nowhere. */
  #addConsole(): void {
    const definition = this.options.catalog.find('output console')
    const { routes } = inferRoutes(this.nodes())
    const name = routes.find((one) => one.origin === 'inferred' && one.to.some((to) => !this.members.has(to)))?.to[0]
    if (name === undefined) return
    if (definition !== undefined) {
      this.declare({ name, kind: definition.kind, settings: {} })
      return
    }
    for (const { from, to, origin } of this.table.list()) if (to.includes(name)) this.table.set(from, [], origin)
  }

  validate(): Validation {
    const elsewhere = this.bus.agents().map((one) => one.name)
    const far = this.bus.processes().flatMap((one) => one.agents.map((agent) => agent.name))
    return validateRoutes(this.nodes(), this.table.list(), [...elsewhere, ...far])
  }

  handlerFor(member: Member): ReturnType<typeof handlerOf> {
    return handlerOf(member, this)
  }

  async start(options: StartOptions): Promise<void> {
    if (this.state !== 'new') {
      throw new BusError('NOT_RUNNING', `start: the swarm is ${this.state}`, { details: { state: this.state } })
    }
    this.state = 'starting'
    this.book.hear()
    try {
      await new Starter(this).startAll(options)
      this.state = 'running'
      // What came meanwhile.
      this.infer()
      await this.#startNew()
    } catch (error) {
      await this.stop(undefined)
      throw error
    }
    this.#watchEnd()
  }

  /** When all inputs have ended, and what came of them is done. */
  #watchEnd(): void {
    const inputs = [...this.members.values()].filter((one) => one.role === 'input')
    const ends = inputs.flatMap((one) => one.behaviour?.ended ?? [])
    if (ends.length === 0 || ends.length < inputs.length) return
    Promise.allSettled(ends)
      .then(() => this.idle())
      .then(this.#ended.resolve, this.#ended.reject)
  }

  stop(limitMs: number | undefined): Promise<StopReport> {
    this.#stopping ??= this.#stop(limitMs)
    return this.#stopping
  }

  async #stop(limitMs: number | undefined): Promise<StopReport> {
    this.state = 'stopping'
    const report = await new Stopper(this).stopAll(limitMs)
    for (const member of this.members.values()) member.onGone?.()
    this.book.end()
    this.state = 'stopped'
    return report
  }

  idle(): Promise<void> {
    return this.busy.idle()
  }

  faults(): readonly SwarmFault[] {
    return this.book.list()
  }

  get faultCount(): number {
    return this.book.count
  }

  stats(): SwarmStats {
    return statsOf(this)
  }

  costs(session: string): Costs | undefined {
    return this.sessions.costs(session)
  }
}

function hasLog(bus: Bus): boolean {
  try {
    return bus.deadLetters !== undefined
  } catch {
    return false
  }
}

function checkedName(verb: string, name: string): string {
  checkOption(verb, 'to', name, aText)
  return name
}
