import type { Bus } from '../bus/bus.ts'
import type { Handler } from '../bus/handler.ts'
import type { Env } from '../kit/env.ts'
import { BusError, describeThrown, isBusError } from '../kit/errors.ts'
import type { Catalog } from './catalog.ts'
import type { Component } from './component.ts'
import type { EventTable } from './events.ts'
import type { FaultBook } from './fault-book.ts'
import { onNobodysBehalf } from './frame.ts'
import type { MakeContext, Terminal } from './kind.ts'
import type { Member } from './member.ts'
import { inOrder, startOrder } from './order.ts'
import type { Routes, StartOptions, StartProgress, SwarmOptions, SwarmState } from './swarm-options.ts'
import type { Validation } from './validate.ts'

const START_MS = 30_000

/** What a start needs of its swarm. */
export interface StartHost {
  readonly options: SwarmOptions & { readonly env: Env; readonly catalog: Catalog }
  readonly bus: Bus
  readonly shared: EventTable
  readonly book: Pick<FaultBook, 'on'>
  readonly members: ReadonlyMap<string, Member>
  readonly started: Member[]
  readonly routes: Pick<Routes, 'warnings'>
  readonly targetsOf: (name: string) => readonly string[]
  readonly state: SwarmState
  get(name: string): Member
  component(name: string): Component
  handlerFor(member: Member): Handler
  infer(): void
  validate(): Validation
  idle(): Promise<void>
}

/** Without a terminal there is nothing to read, and what is written goes nowhere. */
const NO_TERMINAL: Terminal = Object.freeze({
  async *lines() {
    // Nobody types.
  },
  interactive: false,
  write: () => undefined,
})

/** Makes and starts components. */
export class Starter {
  readonly #runtime: StartHost
  readonly #limitMs: number
  #progress: (progress: StartProgress) => void = () => undefined
  #done = 0
  #signal: AbortSignal | undefined = undefined
  /** Monotonic milliseconds at which the whole start must be over. */
  #dueMs = 0

  constructor(runtime: StartHost) {
    this.#runtime = runtime
    this.#limitMs = runtime.options.startTimeoutMs ?? START_MS
  }

  get #env(): Env {
    return this.#runtime.options.env
  }

  /** Makes all, what is named first; then starts all, targets before what sends to them. */
  async startAll({ onProgress, signal }: StartOptions): Promise<void> {
    const runtime = this.#runtime
    this.#progress = onProgress ?? this.#progress
    this.#signal = signal
    this.#dueMs = this.#env.monotonicMs() + this.#limitMs
    runtime.infer()
    this.#mustBeWhole()
    const all = inOrder([...runtime.members.values()])
    for (const member of all) {
      await this.#make(member)
      this.#goOn(member)
      this.#tell(member, 'made', all.length)
    }
    for (const { name } of all) runtime.bus.declare(name)
    this.#done = 0
    for (const member of startOrder(all, runtime.targetsOf)) {
      await this.#start(member)
      this.#tell(member, 'ready', all.length)
    }
    for (const member of all) if (member.state === 'ready') member.state = 'active'
  }

  async startOne(member: Member): Promise<void> {
    this.#dueMs = this.#env.monotonicMs() + this.#limitMs
    await this.#make(member)
    await this.#start(member)
    member.state = 'active'
  }

  /** Throws CANCELLED when the swarm, or the component, was ended meanwhile. */
  #goOn({ name, kind, leaving, ending }: Member): void {
    const { state } = this.#runtime
    const isEnded = leaving !== undefined || ending !== undefined
    if (!isEnded && (state === 'starting' || state === 'running')) return
    const what = isEnded ? `"${name}" (${kind})` : 'the swarm'
    throw new BusError('CANCELLED', `${what} was ended while it was started`, { details: { component: name, kind } })
  }

  /** Throws CONFIG_INVALID for what can be known before anything is made: kinds that cannot run, names, choices under `strict`. */
  #mustBeWhole(): void {
    const { catalog, strict } = this.#runtime.options
    const faults: string[] = []
    for (const { name, kind, references } of this.#runtime.members.values()) {
      const unavailable = catalog.find(kind)?.unavailable
      if (unavailable !== undefined) faults.push(`"${name}" (${kind}): ${unavailable}`)
      for (const reference of references) {
        if (!this.#runtime.members.has(reference)) faults.push(`"${name}" names "${reference}", which does not exist`)
      }
    }
    if (strict === true) {
      const { issues } = this.#runtime.validate()
      for (const { message } of [...issues, ...this.#runtime.routes.warnings()]) faults.push(message)
    }
    if (faults.length === 0) return
    throw new BusError('CONFIG_INVALID', faults.join('; '), { details: { faults } })
  }

  #tell({ name: component, kind }: Member, step: StartProgress['step'], total: number): void {
    this.#done++
    this.#progress({ component, kind, step, done: this.#done, total })
  }

  async #make(member: Member): Promise<void> {
    const { options } = this.#runtime
    if (member.behaviour === undefined) {
      const { make } = options.catalog.get(member.kind)
      const made =
        make === undefined ? {} : await this.#within(member, async () => make(member.spec, this.#context(member)))
      member.take(made)
    }
    for (const script of member.spec.hooks ?? []) {
      member.table.hook(script.event, await this.#script(member, script))
    }
    for (const script of member.spec.pipes ?? []) {
      const how = { name: script.function, optional: script.optional === true }
      member.table.pipe(script.event, await this.#script(member, script), how)
    }
  }

  #script(member: Member, script: NonNullable<Member['spec']['hooks']>[number]) {
    const { scripts } = this.#runtime.options
    if (scripts === undefined) {
      throw new BusError('CONFIG_INVALID', `"${member.name}" has script hooks or pipes, and nothing that finds them`, {
        details: { component: member.name, script: script.script },
      })
    }
    return this.#within(member, async () => scripts(script))
  }

  #context(member: Member): MakeContext {
    const runtime = this.#runtime
    const { env, folder = process.cwd(), terminal = NO_TERMINAL, tell } = runtime.options
    return {
      env,
      bus: runtime.bus,
      folder,
      terminal,
      behaviour(name) {
        const { behaviour } = runtime.get(name)
        if (behaviour !== undefined) return behaviour
        throw new BusError('UNKNOWN_AGENT', `"${member.name}" uses "${name}", which is not made yet`, {
          details: { wanted: name },
        })
      },
      components: () => [...runtime.members.values()].map(({ name, kind, role }) => ({ name, kind, role })),
      targets: (name) => [...runtime.targetsOf(name)],
      observe: (run) => runtime.shared.on('*', run),
      onFault: (run) => runtime.book.on(run),
      idle: () => runtime.idle(),
      tell: (line) => tell?.(line),
    }
  }

  /** The component is ready before anything comes to it; what came earlier waits in its inbox. */
  async #start(member: Member): Promise<void> {
    const runtime = this.#runtime
    const { behaviour, name, kind } = member
    runtime.started.push(member)
    member.started = true
    const start = behaviour?.start
    if (start !== undefined) await this.#within(member, async () => start.call(behaviour, runtime.component(name)))
    this.#goOn(member)
    const { concurrency, handlerTimeoutMs, capabilities } = behaviour ?? {}
    const handler = runtime.handlerFor(member)
    member.agent = await this.#within(member, async () =>
      runtime.bus.register(name, {
        type: kind,
        handler,
        ...(concurrency === undefined ? {} : { concurrency }),
        ...(handlerTimeoutMs === undefined ? {} : { handlerTimeoutMs }),
        ...(capabilities === undefined ? {} : { capabilities }),
      }),
    )
    member.state = 'ready'
  }

  /** Runs a step of a component within what is left of the time for the start. */
  async #within<T>(member: Member, run: () => Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>()
    const leftMs = Math.max(0, this.#dueMs - this.#env.monotonicMs())
    const timer = this.#env.after(leftMs, () => {
      reject(this.#failed(member, `was not ready within ${this.#limitMs} ms`, undefined))
    })
    const signal = this.#signal
    const onAbort = (): void => reject(new BusError('CANCELLED', 'the start was given up', { cause: signal?.reason }))
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([promise, onNobodysBehalf(run)])
    } catch (error) {
      member.state = 'failed'
      if (isBusError(error, 'START_FAILED') || isBusError(error, 'CANCELLED')) throw error
      if (isBusError(error, 'CONFIG_INVALID') || isBusError(error, 'UNSUPPORTED')) throw named(member, error)
      const why = error instanceof Error ? error.message : describeThrown(error)
      throw this.#failed(member, `could not start: ${why}`, error)
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #failed({ name, kind }: Member, what: string, cause: unknown): BusError {
    // Its name is said once, whatever its fault says.
    const text = what.includes(`"${name}"`) ? what : `"${name}" (${kind}) ${what}`
    return new BusError('START_FAILED', text, { cause, details: { component: name, kind } })
  }
}

/** An error that says all there is to say, with the name of its component, once. */
function named({ name, kind }: Member, error: BusError): BusError {
  if (error.details.component === name) return error
  const text = error.message.includes(`"${name}"`) ? error.message : `"${name}" (${kind}): ${error.message}`
  return new BusError(error.code, text, { cause: error, details: { ...error.details, component: name, kind } })
}
