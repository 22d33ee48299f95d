import { expect } from 'vitest'
import { type Agent, BusError, type Message, type Priority, type Publisher } from '../../../src/index.ts'

/** Deadlines fire at most this much late and never early. */
export const LATE_MS = 16

/** How long `expect.poll` waits for a condition: on a machine of any speed. */
export const PATIENT = { timeout: 10_000, interval: 1 } as const

/** The bus's own error with which a promise rejects. Fails when it resolves, or rejects with anything else. */
export async function faultOf(promise: PromiseLike<unknown>): Promise<BusError> {
  const [settled] = await Promise.allSettled([promise])
  if (settled.status === 'fulfilled') throw new Error('it resolved, but had to be refused')
  return asFault(settled.reason)
}

/** The bus's own error that a call throws. */
export function thrownBy(run: () => unknown): BusError {
  try {
    run()
  } catch (error) {
    return asFault(error)
  }
  throw new Error('it returned, but had to be refused')
}

function asFault(error: unknown): BusError {
  if (error instanceof BusError) return error
  throw new Error(`refused, but not with a BusError: ${String(error)}`, { cause: error })
}

/** A promise whose state can be looked at. */
export interface Watched<T> {
  readonly state: 'pending' | 'fulfilled' | 'rejected'
  readonly value: T | undefined
  readonly error: unknown
}

/** Looks on while a promise settles; a rejection counts as seen. */
export function watched<T>(promise: PromiseLike<T>): Watched<T> {
  const seen: { state: Watched<T>['state']; value: T | undefined; error: unknown } = {
    state: 'pending',
    value: undefined,
    error: undefined,
  }
  promise.then(
    (value) => Object.assign(seen, { state: 'fulfilled', value }),
    (error: unknown) => Object.assign(seen, { state: 'rejected', error }),
  )
  return seen
}

/** The error of a watched promise, which must have been rejected by the bus. */
export function errorOf(seen: Watched<unknown>): BusError {
  expect(seen.state).toBe('rejected')
  return asFault(seen.error)
}

/** The data of the next messages, in the order in which the agent gets them. */
export async function take(agent: Agent, count: number): Promise<unknown[]> {
  const data: unknown[] = []
  for (let left = count; left > 0; left--) data.push((await agent.receive({ timeoutMs: 0 })).data)
  return data
}

/** The data of everything that waits for the agent, in the order in which it gets them. */
export async function takeAll(agent: Agent): Promise<unknown[]> {
  return take(agent, agent.info.queued)
}

/** Sends one message for each `level:data` or `level`, in order. */
export async function sendLevels(bus: Publisher, to: string, list: readonly string[]): Promise<void> {
  for (const one of list) {
    const [priority = 'normal', data = priority] = one.split(':')
    await bus.send(to, data, { priority: priority as Priority })
  }
}

/** `prefix1 … prefixN`. */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`)
}

/** Collects what a handler is called with. */
export function collector(): { readonly got: Message[]; readonly handler: (message: Message) => void } {
  const got: Message[] = []
  return { got, handler: (message) => void got.push(message) }
}

/** The median of some measurements. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
