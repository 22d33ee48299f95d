import type { Env } from '../../../kit/env.ts'
import { BusError } from '../../../kit/errors.ts'
import type { ClientEvent } from '../net/events.ts'

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

/** Somebody who waits for an answer. */
export interface Waiter {
  readonly promise: Promise<unknown>
  close(): void
}

/** Requests that wait for the answer of their session: the first answer belongs to the first that waits. */
export class Waiters {
  readonly #env: Env
  readonly #owner: string
  readonly #limitMs: number
  readonly #open = new Map<string, { resolve(answer: unknown): void; reject(error: unknown): void }[]>()

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

  heard({ event, payload, session_id }: ClientEvent): void {
    const first = this.#open.get(session_id)?.[0]
    if (first === undefined) return
    if (event === 'agent.error') {
      const { error } = payload as { readonly error?: unknown }
      first.reject(new BusError('HANDLER_FAILED', String(error)))
    } else if (ANSWERS.has(event)) first.resolve(payload)
    else return
    this.#remove(session_id, first)
  }

  end(): void {
    const error = new BusError('BUS_CLOSED', 'the swarm ends')
    for (const list of this.#open.values()) for (const one of list) one.reject(error)
    this.#open.clear()
  }

  #remove(session: string, one: object): void {
    const left = (this.#open.get(session) ?? []).filter((other) => other !== one)
    if (left.length === 0) this.#open.delete(session)
    else this.#open.set(session, left)
  }
}
