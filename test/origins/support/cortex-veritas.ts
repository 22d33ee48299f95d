import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate as turn } from 'node:timers/promises'
import {
  type Bus,
  BusError,
  type BusOptions,
  createBus,
  type Env,
  type ErrorCode,
  type EventName,
  type Message,
  type Timer,
} from '../../../src/index.ts'
import { fakeEnv } from '../../../src/testing/index.ts'

/** A bus on a clock that stands still. Its disposal waits for nothing: nobody would move the clock for it. */
export function still(options: BusOptions & { readonly env: Env }): Bus {
  const bus = createBus(options)
  return Object.assign(bus, {
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await bus.close({ limitMs: 0 })
    },
  })
}

/** The error a promise rejects with; throws when it resolves, or when the error is none of ours. */
export async function refusal(promise: PromiseLike<unknown>): Promise<BusError> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    if (error instanceof BusError) return error
    throw new Error('rejected with something else than a BusError', { cause: error })
  }
  throw new Error(`resolved with ${JSON.stringify(value)}, though a refusal was expected`)
}

/** The code a promise rejects with. */
export async function codeOf(promise: PromiseLike<unknown>): Promise<ErrorCode> {
  return (await refusal(promise)).code
}

/** The code a call throws. */
export function thrown(call: () => unknown): ErrorCode {
  try {
    call()
  } catch (error) {
    if (error instanceof BusError) return error.code
    throw new Error('threw something else than a BusError', { cause: error })
  }
  throw new Error('did not throw')
}

/** Follows a promise without waiting for it: `state` says how far it has come. */
export function follow<T>(promise: PromiseLike<T>): {
  readonly state: 'pending' | 'resolved' | 'rejected'
  readonly value: T | undefined
  readonly error: unknown
} {
  const seen: { state: 'pending' | 'resolved' | 'rejected'; value: T | undefined; error: unknown } = {
    state: 'pending',
    value: undefined,
    error: undefined,
  }
  promise.then(
    (value) => Object.assign(seen, { state: 'resolved', value }),
    (error: unknown) => Object.assign(seen, { state: 'rejected', error }),
  )
  return seen
}

/** Resolves in the turn of the event loop in which the condition is true; the test's own limit bounds the waiting. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

/** A promise that is opened by hand, so that a handler is busy exactly as long as the test wants. */
export function gate(): { readonly closed: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { closed: promise, open: () => resolve() }
}

/** What the bus announces under one name, until disposed. */
export function listen(event: EventName): { readonly heard: Record<string, unknown>[] } & Disposable {
  const heard: Record<string, unknown>[] = []
  const onMessage = (fields: unknown): void => {
    heard.push(fields as Record<string, unknown>)
  }
  subscribe(`swarmbus.${event}`, onMessage)
  return {
    heard,
    [Symbol.dispose]: () => {
      unsubscribe(`swarmbus.${event}`, onMessage)
    },
  }
}

/** How often the bus used its environment. */
export interface Uses {
  after: number
  soon: number
  nextTurn: number
  clock: number
}

/** A simulated environment that counts how often it is used. */
export function countingEnv(): { readonly env: Env; readonly uses: Uses; readonly fake: ReturnType<typeof fakeEnv> } {
  const fake = fakeEnv()
  const uses: Uses = { after: 0, soon: 0, nextTurn: 0, clock: 0 }
  const env: Env = {
    wallMs: () => fake.wallMs(),
    random: () => fake.random(),
    monotonicMs() {
      uses.clock++
      return fake.monotonicMs()
    },
    after(delayMs, run): Timer {
      uses.after++
      return fake.after(delayMs, run)
    },
    soon(run) {
      uses.soon++
      fake.soon(run)
    },
    nextTurn(run) {
      uses.nextTurn++
      fake.nextTurn(run)
    },
  }
  return { env, uses, fake }
}

/** The numbers 0 to count − 1. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** The data of messages whose data is a number. */
export function data(messages: readonly Message[]): unknown[] {
  return messages.map((message) => message.data)
}

/** How many pairs stand in the wrong order. */
export function inversions(list: readonly number[]): number {
  let count = 0
  for (let left = 0; left < list.length; left++) {
    for (let right = left + 1; right < list.length; right++) if (list[left]! > list[right]!) count++
  }
  return count
}
