import type { Env } from '../../../kit/env.ts'
import { BusError } from '../../../kit/errors.ts'
import type { EventInfo } from '../../component.ts'
import type { SwarmFault } from '../../fault.ts'
import type { MakeContext } from '../../kind.ts'

/** Events that are an answer to what came in. */
const ANSWERS = new Set([
  'response_generated',
  'output_generated',
  'result_ready',
  'task_complete',
  'processing_complete',
  'agent.response',
  'component.response',
])

/** True for the last word to what came in: an answer of a component whose output goes to an output, or to nobody who would answer in turn. */
export function isLastWord(
  { event, component, componentType }: EventInfo,
  context: Pick<MakeContext, 'components' | 'targets'>,
): boolean {
  // Agents tell their answer before it goes on: what goes on is the answer.
  if (!ANSWERS.has(event) || (event === 'agent.response' && componentType.startsWith('agent '))) return false
  const roles = new Map(context.components().map(({ name, role }) => [name, role]))
  const targets = context.targets(component).map((name) => roles.get(name))
  return targets.includes('output') || !targets.some((role) => role === 'agent' || role === 'llm')
}

/** True for the failure of an agent on the way of what came in; the failure of a tool is for whoever asked it. */
export function isEnd({ event, component }: EventInfo, context: Pick<MakeContext, 'components' | 'targets'>): boolean {
  return event === 'agent.error' && context.components().some(({ name }) => context.targets(name).includes(component))
}

/** True for a component that gave up what came in, and from which an answer would have come: whoever only listens fails for himself. */
export function wasOnTheWay(
  { type, component }: SwarmFault,
  context: Pick<MakeContext, 'components' | 'targets'>,
): boolean {
  if (type !== 'component') return false
  const role = context.components().find(({ name }) => name === component)?.role
  return role === 'agent' || role === 'llm' || context.targets(component).length > 0
}

/** Somebody who waits for an answer. */
export interface Waiter {
  readonly promise: Promise<unknown>
  close(): void
}

interface Open {
  resolve(answer: unknown): void
  reject(error: unknown): void
}

/** Requests that wait for the answer of their session: the first answer belongs to the first that waits. */
export class Waiters {
  readonly #env: Env
  readonly #owner: string
  readonly #limitMs: number
  readonly #open = new Map<string, Open[]>()

  constructor(env: Env, owner: string, limitMs: number) {
    this.#env = env
    this.#owner = owner
    this.#limitMs = limitMs
  }

  /** Rejects with REQUEST_TIMEOUT, with HANDLER_FAILED when an agent of the session failed, and with the reason of the signal. */
  open(session: string, signal: AbortSignal): Waiter {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const one = { resolve, reject }
    const list = this.#open.get(session) ?? []
    list.push(one)
    this.#open.set(session, list)
    const timer = this.#env.after(this.#limitMs, () => {
      reject(new BusError('REQUEST_TIMEOUT', `"${this.#owner}" heard no answer within ${this.#limitMs / 1_000} s`))
    })
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.catch(() => undefined)
    return Object.freeze({
      promise,
      close: (): void => {
        timer.cancel()
        signal.removeEventListener('abort', onAbort)
        this.#remove(session, one)
      },
    })
  }

  /** True while somebody waits in the session. */
  has(session: string): boolean {
    return this.#open.has(session)
  }

  answered(session: string, payload: unknown): void {
    this.#first(session)?.resolve(payload)
  }

  failed(session: string, error: unknown): void {
    this.#first(session)?.reject(error)
  }

  end(): void {
    const error = new BusError('BUS_CLOSED', 'the swarm ends')
    for (const list of this.#open.values()) for (const one of list) one.reject(error)
    this.#open.clear()
  }

  #first(session: string): Open | undefined {
    const first = this.#open.get(session)?.[0]
    if (first !== undefined) this.#remove(session, first)
    return first
  }

  #remove(session: string, one: object): void {
    const left = (this.#open.get(session) ?? []).filter((other) => other !== one)
    if (left.length === 0) this.#open.delete(session)
    else this.#open.set(session, left)
  }
}
