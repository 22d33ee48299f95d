import type { Bus } from '../bus/bus.ts'
import type { Env } from '../kit/env.ts'
import type { Busy } from './busy.ts'
import type { Member } from './member.ts'
import type { StopReport } from './swarm-options.ts'

/** What a stop needs of its swarm. */
export interface StopHost {
  readonly options: { readonly env: Env }
  readonly bus: Bus
  /** Those that run, in the order in which they were started. */
  started: Member[]
  readonly members: ReadonlyMap<string, Member>
  readonly isKept: boolean
  readonly busy: Busy
}

/** Ends components: nothing new, then what is on its way, then each in reverse. */
export class Stopper {
  readonly #runtime: StopHost
  readonly #failed: { component: string; error: unknown }[] = []
  #left = 0

  constructor(runtime: StopHost) {
    this.#runtime = runtime
  }

  async stopAll(limitMs: number | undefined): Promise<StopReport> {
    const { bus, started, options } = this.#runtime
    const wholeMs = limitMs ?? bus.stats().config.drainMs
    const dueMs = options.env.monotonicMs() + wholeMs
    const order = [...started].reverse()
    for (const member of order) await this.#pause(member, dueMs)
    await this.#inTime(dueMs, this.#runtime.busy.ownOver())
    await this.#inTime(dueMs, this.#runtime.busy.besideOver())
    for (const member of order) await this.#end(member, dueMs)
    for (const { name } of this.#runtime.members.values()) this.#forget(name)
    this.#runtime.started = []
    return { drained: this.#left === 0, left: this.#left, failed: this.#failed }
  }

  async stopOne(member: Member, limitMs: number | undefined): Promise<void> {
    const { bus, options } = this.#runtime
    if (!member.started) {
      member.state = 'terminated'
      return
    }
    const dueMs = options.env.monotonicMs() + (limitMs ?? bus.stats().config.drainMs)
    await this.#pause(member, dueMs)
    await this.#end(member, dueMs)
  }

  async #pause(member: Member, dueMs: number): Promise<void> {
    if (member.state === 'shutting_down') return
    member.state = 'shutting_down'
    await this.#step(member, dueMs, () => member.behaviour?.pause?.())
  }

  /** The inbox of a component that never came: nobody would ever read it. What a log has for it stays there. */
  #forget(name: string): void {
    const { bus, isKept } = this.#runtime
    if (!isKept && bus.agent(name)?.held === true) bus.register(name).unregister()
  }

  /** Ends it, once, whoever asks. */
  #end(member: Member, dueMs: number): Promise<void> {
    member.ending ??= this.#endNow(member, dueMs)
    return member.ending
  }

  /** Its inbox is emptied, as far as there is time, then it ends. What is left stays in the log, or is told as dropped. */
  async #endNow(member: Member, dueMs: number): Promise<void> {
    const { agent, name } = member
    if (agent !== undefined) {
      await this.#inTime(dueMs, Promise.resolve(agent[Symbol.asyncDispose]()))
      const { queued = 0, running = 0 } = this.#runtime.bus.agent(name) ?? {}
      this.#left += queued + running
      agent.unregister()
    }
    const leftMs = Math.max(0, dueMs - this.#runtime.options.env.monotonicMs())
    await this.#step(member, dueMs, () => member.behaviour?.stop?.(leftMs))
    member.started = false
    if (member.state !== 'failed') member.state = 'terminated'
  }

  async #step(member: Member, dueMs: number, run: () => void | Promise<void>): Promise<void> {
    const component = member.name
    try {
      if (await this.#inTime(dueMs, Promise.try(run))) return
      this.#failed.push({ component, error: new Error(`"${component}" did not end in time`) })
    } catch (error) {
      this.#failed.push({ component, error })
    }
  }

  /** True when the promise came first; what comes of it later is nobody's concern. */
  async #inTime(dueMs: number, promise: Promise<unknown>): Promise<boolean> {
    const { env } = this.#runtime.options
    const late = Promise.withResolvers<false>()
    const isLate = (): void => late.resolve(false)
    const leftMs = dueMs - env.monotonicMs()
    // Without any time left, what ends at once still counts as ended.
    const timer = leftMs > 0 ? env.after(leftMs, isLate) : undefined
    if (timer === undefined) env.nextTurn(isLate)
    promise.catch(() => undefined)
    try {
      return await Promise.race([promise.then(() => true), late.promise])
    } finally {
      timer?.cancel()
    }
  }
}
