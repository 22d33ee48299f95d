import type { Bus } from '../bus/bus.ts'
import { BusError, describeThrown, isBusError } from '../kit/errors.ts'
import { copyData, freezeAndLook } from '../message/freeze.ts'
import type { Busy } from './busy.ts'
import type { EmitOptions, EmitResult, EventInfo, RouteFailure } from './component.ts'
import { PIPE_HEADER, STOPPED_HEADER, TARGET_HEADER, WHY_HEADER } from './envelope.ts'
import { isRouted, type Watcher } from './events.ts'
import type { SwarmFault } from './fault.ts'
import { type Frame, frameOf, type Work, within } from './frame.ts'
import { markOf } from './mark.ts'
import type { Member } from './member.ts'
import { Outlet } from './outlet.ts'
import { isThenable } from './parts.ts'
import type { Payloads } from './payload.ts'
import { Stopped, stopFault } from './stopped.ts'

// Hot path: the way of an event from `emit` to its targets, in the order in which it happens: payload type, hooks, pipes, listeners,
// routing. Without asynchronous pipes nothing waits before the messages are sent.

/** What the emitter needs of its swarm. */
export interface EmitterHost {
  readonly bus: Bus
  readonly payloads: Payloads
  /** Most messages in a chain, and most emits in one message. */
  readonly hopLimit: number
  targetsOf(name: string): readonly string[]
  /** Why a component cannot emit; undefined when it can. */
  refusal(member: Member): BusError | undefined
  fault(fault: SwarmFault): void
  /** The chain of components that came to the hop limit. */
  cycle(member: Member, event: string, path: readonly string[], error: unknown): void
  wallMs(): number
  readonly busy: Busy
  /** True when the bus has a log: then its receipts say when a message is over. */
  readonly isKept: boolean
  /** True for a component of this process. */
  isOwn(name: string): boolean
}

/** How an event goes on beside what its options say. */
interface Way extends EmitOptions {
  /** In place of the targets of the component. */
  readonly targets?: readonly string[]
  /** It is a dead letter already: what stops it again is told to the caller, and makes no other one. */
  readonly isAgain?: boolean
  /** What of the handling it is: see `mark.ts`. */
  readonly mark?: string
}

/** The pipes of one event, and what comes behind them. */
interface PipeLine {
  readonly pipes: readonly Watcher[]
  readonly info: EventInfo
  readonly frame: Frame
  readonly isAgain: boolean
  readonly next: (payload: unknown) => Promise<EmitResult>
}

const NOBODY: readonly string[] = Object.freeze([])
const NO_FAILURES: readonly RouteFailure[] = Object.freeze([])

export class Emitter {
  readonly #host: EmitterHost
  readonly #stopped: Stopped
  readonly outlet: Outlet

  /** `token` tells this swarm apart from all others. */
  constructor(host: EmitterHost, token: string) {
    this.#host = host
    this.#stopped = new Stopped(host, token)
    this.outlet = new Outlet(host)
  }

  emit(member: Member, event: string, payload: unknown, options: Way = {}): Promise<EmitResult> {
    try {
      const { bus, payloads } = this.#host
      const refusal = this.#host.refusal(member)
      if (refusal !== undefined) return Promise.reject(refusal)
      const outer = frameOf(bus)
      const session = options.session ?? outer?.session
      const { name: component, kind } = member
      const time = this.#host.wallMs()
      const depth = (outer?.depth ?? 0) + 1
      if (depth > this.#host.hopLimit) return Promise.reject(this.#tooDeep(member, event))
      const how =
        this.#host.isKept && outer?.work !== undefined ? withMark(options, event, payload, outer.work) : options
      const checked = payloads.has(event)
        ? payloads.create(event, payload, { component, kind, session, time })
        : payload
      member.counts.emitted++
      const watchers = member.view.of(event)
      const { hooks, pipes, after, listeners } = watchers
      if (hooks.length + pipes.length + after.length + listeners.length === 0) {
        return this.#route(member, event, checked, how, outer)
      }
      const info: EventInfo = Object.freeze({ event, component, componentType: kind, session, time })
      const frame = frameFor(bus, member, outer, session, depth)
      if (hooks.length > 0) this.#tell(member, hooks, checked, info, frame)
      if (pipes.length === 0) return this.#finish(member, after, listeners, checked, info, how, outer, frame)
      const next = (changed: unknown): Promise<EmitResult> =>
        this.#finish(member, after, listeners, changed, info, how, outer, frame)
      return this.#pipe(member, { pipes, info, frame, next, isAgain: how.isAgain === true }, checked, 0)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Handles what was stopped before: as a failure when it comes for the first time, so that it is kept as a dead letter; else anew. */
  async again(member: Member, event: string, data: unknown, headers: Readonly<Record<string, string>>): Promise<void> {
    const { [STOPPED_HEADER]: token = '', [PIPE_HEADER]: pipe, [TARGET_HEADER]: target, [WHY_HEADER]: why } = headers
    if (this.#stopped.isNew(token)) throw stopFault(member.name, event, pipe, target, why)
    const result = await this.emit(member, event, data, { isAgain: true, ...(target === undefined ? {} : { target }) })
    if (result.stoppedBy !== undefined) throw stopFault(member.name, event, result.stoppedBy, undefined, why)
    const [first] = result.failed
    if (first !== undefined) throw stopFault(member.name, event, undefined, first.target, describeThrown(first.error))
  }

  #finish(
    member: Member,
    after: readonly Watcher[],
    listeners: readonly Watcher[],
    payload: unknown,
    info: EventInfo,
    options: Way,
    outer: Frame | undefined,
    frame: Frame,
  ): Promise<EmitResult> {
    if (after.length > 0) this.#tell(member, after, payload, info, frame)
    if (listeners.length > 0) this.#tell(member, listeners, payload, info, frame)
    return this.#route(member, info.event, payload, options, outer)
  }

  /** Calls hooks or listeners: they get what they cannot change, and nobody waits for them. */
  #tell(member: Member, watchers: readonly Watcher[], payload: unknown, info: EventInfo, frame: Frame): void {
    const isLoose = typeof payload === 'object' && payload !== null && freezeAndLook(payload).loose
    within(frame, () => {
      for (const watcher of watchers) {
        if (watcher.type !== 'listener') member.counts.hooksRun++
        try {
          const result = watcher.run(isLoose ? ownCopy(payload) : payload, info)
          if (isThenable(result)) {
            const over = Promise.resolve(result).then(undefined, (error: unknown) =>
              this.#watcherFailed(member, watcher, info, error),
            )
            this.#host.busy.beside(over)
          }
        } catch (error) {
          this.#watcherFailed(member, watcher, info, error)
        }
      }
    })
  }

  #watcherFailed(member: Member, { type, name }: Watcher, { event }: EventInfo, error: unknown): void {
    const what = type === 'listener' ? 'listener' : 'hook'
    if (what === 'listener') member.counts.listenerFailures++
    else member.counts.hookFailures++
    const message = `${what} "${name}" of "${member.name}" failed on "${event}": ${describeThrown(error)}`
    this.#host.fault({ type: what, component: member.name, event, message, error })
  }

  /** Pipes from `index` on, each with what the one before it made of the payload; asynchronous from the first that is. */
  #pipe(member: Member, line: PipeLine, payload: unknown, index: number): Promise<EmitResult> {
    const { pipes, info, frame } = line
    let now = payload
    for (let at = index; at < pipes.length; at++) {
      const pipe = pipes[at] as Watcher
      const before = now
      const failed = (error: unknown): Promise<EmitResult> => {
        this.#pipeFailed(member, pipe, info, error)
        return pipe.optional ? this.#pipe(member, line, before, at + 1) : this.#stop(member, pipe, before, line, error)
      }
      try {
        const result = within(frame, () => pipe.run(copyData(before), info))
        if (isThenable(result)) {
          const late = (value: unknown): Promise<EmitResult> =>
            this.#pipe(member, line, value === undefined ? before : value, at + 1)
          return this.#whileWaiting(Promise.resolve(result).then(late, failed))
        }
        if (result !== undefined) now = result
      } catch (error) {
        return failed(error)
      }
    }
    return line.next(now)
  }

  #whileWaiting<T>(promise: Promise<T>): Promise<T> {
    this.#host.busy.began()
    return promise.finally(() => this.#host.busy.ended())
  }

  #pipeFailed(member: Member, { name }: Watcher, { event }: EventInfo, error: unknown): void {
    member.counts.pipeFailures++
    const message = `pipe "${name}" of "${member.name}" failed on "${event}": ${describeThrown(error)}`
    this.#host.fault({ type: 'pipe', component: member.name, event, message, error })
  }

  async #stop(
    member: Member,
    pipe: Watcher,
    payload: unknown,
    { info, isAgain }: PipeLine,
    error: unknown,
  ): Promise<EmitResult> {
    const { event, session } = info
    if (!isAgain) await this.#stopped.bury(member, event, payload, session, { [PIPE_HEADER]: pipe.name }, error)
    return { payload, delivered: NOBODY, failed: NO_FAILURES, stoppedBy: pipe.name }
  }

  #route(member: Member, event: string, payload: unknown, options: Way, frame: Frame | undefined): Promise<EmitResult> {
    const targets = this.#targets(member, event, options)
    if (targets.length === 0) {
      return Promise.resolve({ payload, delivered: NOBODY, failed: NO_FAILURES, stoppedBy: undefined })
    }
    member.counts.routed++
    this.#host.busy.began()
    const [first] = targets
    if (targets.length === 1 && first !== undefined) {
      const sent = this.outlet.send(member, first, event, payload, options, frame)
      return sent.then((error) => this.#outcome(member, event, payload, options, targets, [error]))
    }
    const sends = targets.map((target) => this.outlet.send(member, target, event, payload, options, frame))
    return Promise.all(sends).then((errors) => this.#outcome(member, event, payload, options, targets, errors))
  }

  #targets(member: Member, event: string, { target, targets, route }: Way): readonly string[] {
    if (route === false) return NOBODY
    if (targets !== undefined) return targets
    if (target !== undefined) return [target]
    return member.routedEvents.has(event) || isRouted(event) ? this.#host.targetsOf(member.name) : NOBODY
  }

  /** What became of it; `errors` has undefined for each target that took it. */
  #outcome(
    member: Member,
    event: string,
    payload: unknown,
    options: Way,
    targets: readonly string[],
    errors: readonly unknown[],
  ): EmitResult | Promise<EmitResult> {
    if (errors.some((error) => error !== undefined)) return this.#lost(member, event, payload, options, targets, errors)
    member.counts.sent += targets.length
    this.#host.busy.ended()
    return { payload, delivered: targets, failed: NO_FAILURES, stoppedBy: undefined }
  }

  async #lost(
    member: Member,
    event: string,
    payload: unknown,
    options: Way,
    targets: readonly string[],
    errors: readonly unknown[],
  ): Promise<EmitResult> {
    try {
      const delivered = targets.filter((_, index) => errors[index] === undefined)
      const failed = targets.flatMap((target, index) =>
        errors[index] === undefined ? [] : [{ target, error: errors[index] }],
      )
      member.counts.sent += delivered.length
      member.counts.routeFailures += failed.length
      for (const one of failed) await this.#notRouted(member, event, payload, options, one)
      return { payload, delivered, failed, stoppedBy: undefined }
    } finally {
      this.#host.busy.ended()
    }
  }

  async #notRouted(
    member: Member,
    event: string,
    payload: unknown,
    options: Way,
    { target, error }: RouteFailure,
  ): Promise<void> {
    if (isBusError(error, 'HOP_LIMIT')) {
      const path = Array.isArray(error.details.path) ? (error.details.path as readonly string[]) : []
      this.#host.cycle(member, event, path, error)
      return
    }
    const message = `"${event}" of "${member.name}" did not reach "${target}": ${describeThrown(error)}`
    this.#host.fault({ type: 'route', component: member.name, event, message, error })
    if (options.isAgain === true) return
    const session = options.session ?? frameOf(this.#host.bus)?.session
    await this.#stopped.bury(member, event, payload, session, { [TARGET_HEADER]: target }, error)
  }

  #tooDeep(member: Member, event: string): BusError {
    const { hopLimit } = this.#host
    const error = new BusError(
      'HOP_LIMIT',
      `"${event}" of "${member.name}" is emitted by what hears it, ${hopLimit} times over`,
      {
        details: { component: member.name, event, allowed: hopLimit },
      },
    )
    this.#host.cycle(member, event, [member.name, member.name], error)
    return error
  }
}

function frameFor(
  bus: Bus,
  member: Member,
  outer: Frame | undefined,
  session: string | undefined,
  depth: number,
): Frame {
  return {
    bus,
    component: member.name,
    kind: member.kind,
    session,
    message: outer?.message,
    context: outer?.context,
    depth,
    work: outer?.work,
  }
}

function withMark(options: Way, event: string, payload: unknown, work: Work): Way {
  const mark = options.mark ?? markOf(event, payload, work)
  return mark === undefined ? options : { ...options, mark }
}

/** Sets, maps and bytes cannot be frozen: of them everybody gets a copy. */
function ownCopy(payload: unknown): unknown {
  const copy = copyData(payload)
  freezeAndLook(copy)
  return copy
}
