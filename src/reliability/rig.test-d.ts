// What the tests of this folder share. Named so that it is type-checked but neither shipped nor run.
import type { Context, Handler } from '../bus/handler.ts'
import type { Publisher } from '../bus/publisher.ts'
import { BusError } from '../kit/errors.ts'
import { messageMaker } from '../message/make.ts'
import type { Message } from '../message/message.ts'
import type { FakeEnv } from '../testing/fake-env.ts'

/** A context for tests that call middleware without a bus; `controller` aborts its signal. */
export interface TestContext extends Context {
  readonly controller: AbortController
  /** What the handler did to the outer context. */
  readonly done: string[]
}

export function testContext(fields: { name?: string; attempt?: number; remainingMs?: number } = {}): TestContext {
  const controller = new AbortController()
  const done: string[] = []
  return {
    controller,
    done,
    signal: controller.signal,
    attempt: fields.attempt ?? 1,
    name: fields.name ?? 'worker',
    remainingMs: fields.remainingMs ?? 30_000,
    get bus(): Publisher {
      throw new Error('not part of this test')
    },
    reply: (data) => done.push(`reply ${String(data)}`) > 0,
    extend: (limitMs) => void done.push(`extend ${limitMs}`),
    nack: (options) => void done.push(`nack ${options?.delayMs}`),
  }
}

/** A message of topic `t`. */
export function testMessage(env: FakeEnv, data: unknown = 1, session?: string): Message {
  return messageMaker(env).make('t', data, { session })
}

/** Calls a handler and brings every way of ending into one: what it resolved or rejected with. */
export async function endOf(call: () => unknown): Promise<{ value: unknown } | { error: unknown }> {
  try {
    return { value: await call() }
  } catch (error) {
    return { error }
  }
}

/** The code of what a call threw or rejected with; `none` when it did not. */
export async function codeOf(call: () => unknown): Promise<string> {
  const end = await endOf(call)
  if (!('error' in end)) return 'none'
  return end.error instanceof BusError ? end.error.code : String(end.error)
}

/** An object that throws at every question. */
export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Handlers that fail in nasty ways, at once or soon. */
export const FAILING: Readonly<Record<string, Handler>> = {
  'throws at once': () => {
    throw new Error('sync')
  },
  'rejects with undefined': () => Promise.reject<unknown>(),
  'throws a revoked Proxy': () => {
    throw revoked()
  },
  'returns a revoked Proxy': () => revoked(),
  'rejects with a revoked Proxy': () => Promise.reject<unknown>(revoked()),
  'returns a thenable that rejects': () => ({
    // biome-ignore lint/suspicious/noThenProperty: this is the poison.
    then: (_: unknown, reject: (error: unknown) => void) => reject('no'),
  }),
  'returns an object whose then throws': () => ({
    // biome-ignore lint/suspicious/noThenProperty: this is the poison.
    get then(): never {
      throw new Error('then')
    },
  }),
}

/** A stream of the given parts that then fails, if told to. */
export async function* partsOf(parts: readonly unknown[], error?: Error): AsyncGenerator<unknown> {
  yield* parts
  if (error !== undefined) throw error
}

/** Everything that a streamed answer yields; throws as the stream does. */
export async function collect(result: unknown): Promise<unknown[]> {
  const parts: unknown[] = []
  for await (const part of result as AsyncIterable<unknown>) parts.push(part)
  return parts
}
