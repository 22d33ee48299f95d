import assert from 'node:assert/strict'
import { systemEnv } from '../../kit/env.ts'
import { isBusError } from '../../kit/errors.ts'
import { type MakeOptions, messageMaker } from '../../message/make.ts'
import type { ConsumeOptions, Delivery, GroupInfo, Item, MessageLog } from '../log.ts'

/** What a test may ask of the log that it gets. */
export interface ConformanceOptions {
  /** Milliseconds of the duplicate window; without it a long one. */
  readonly dedupMs?: number
}

/** How the suite gets at the log that it tests. */
export interface LogHarness {
  /** An empty log. */
  make(options?: ConformanceOptions): Promise<MessageLog>
  /** Closes the log and opens it again. For logs that are persistent. */
  reopen?(log: MessageLog): Promise<MessageLog>
  /** Abandons the log without closing it, as a crash does, and opens it again. For logs that are persistent. */
  crash?(log: MessageLog): Promise<MessageLog>
  /** One more instance on the same store, as another process opens it; the test ends it. For logs that are shared. */
  another?(log: MessageLog): Promise<MessageLog>
  /** Abandons an instance without a word, as a killed process does: its connections are gone. For logs that are shared. */
  abandon?(log: MessageLog): Promise<void>
  /** The clock of the logs, where it can be moved. Default: real time. */
  readonly clock?: SuiteClock
}

/** The time that passes for the log. */
export interface SuiteClock {
  wallMs(): number
  /** Resolves when so much time has passed, and what it brought about has happened. */
  advance(ms: number): Promise<void>
}

/** Registers a test, as `test` of vitest or of `node:test` does; the runner limits its time. */
export type RegisterTest = (title: string, run: () => Promise<void>) => void

/** What the parts of the suite work with. */
export interface Suite {
  readonly harness: LogHarness
  readonly clock: SuiteClock
  /** A test with a log of its own, which is disposed afterwards. */
  on(title: string, run: (log: MessageLog) => Promise<void>, options?: ConformanceOptions): void
}

const real = systemEnv()
const PATIENCE_MS = 10_000

/** Real time. */
export const realClock: SuiteClock = {
  wallMs: () => Math.floor(real.wallMs()),
  advance: (ms) => new Promise((resolve) => void real.after(ms, resolve)),
}

const maker = messageMaker()

/** A message to be kept. */
export function item(data: unknown, more: Omit<Item, 'message'> = {}, options: MakeOptions = {}): Item {
  return { ...more, message: maker.make('conformance.test', data, options) }
}

/** Messages to be kept, with the numbers from `from` on as their data. */
export function items(count: number, from: number = 1): Item[] {
  return Array.from({ length: count }, (_, index) => item(from + index))
}

/** All that an iteration yields. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const one of source) list.push(one)
  return list
}

/** The data of entries and deliveries, and the reasons of gaps. */
export function dataOf(
  list: readonly { readonly message?: { readonly data: unknown }; readonly reason?: string }[],
): unknown[] {
  return list.map(({ message, reason }) => message?.data ?? reason)
}

/** Fails unless the call throws, or its promise rejects, with the code. */
export async function refuses(code: Parameters<typeof isBusError>[1], run: () => unknown): Promise<void> {
  let thrown: unknown
  try {
    await run()
  } catch (error) {
    thrown = error
  }
  assert.ok(isBusError(thrown, code), `expected ${code}, got ${thrown === undefined ? 'no error' : String(thrown)}`)
}

/** The figures of a group. */
export async function figures(log: MessageLog, stream: string, group: string = 'g'): Promise<GroupInfo> {
  const found = (await log.groups(stream)).find((info) => info.group === group)
  assert.ok(found, `there is no group ${group}`)
  return found
}

/** A consumer that is asked one by one. */
export interface TestConsumer extends AsyncDisposable {
  /** The next delivery; fails when none comes. */
  next(): Promise<Delivery>
  /** So many. */
  take(count: number): Promise<Delivery[]>
  /** Resolves when a delivery has come, or the end. It is not lost: {@link next} gives it. */
  came(): Promise<void>
  /** Fails if a delivery comes within the time. It is not lost: {@link next} gives it. */
  none(ms?: number): Promise<void>
  /** Resolves when the iteration has ended without another delivery. */
  ended(): Promise<void>
  /** Aborts the signal. */
  abort(): void
}

/** A consumer of a group. */
export function consumer(
  clock: SuiteClock,
  log: MessageLog,
  stream: string,
  group: string = 'g',
  options: Omit<ConsumeOptions, 'signal'> = {},
): TestConsumer {
  const controller = new AbortController()
  const source = log.consume(stream, group, { ackWaitMs: 60_000, ...options, signal: controller.signal })
  const iterator = source[Symbol.asyncIterator]()
  let asked: Promise<IteratorResult<Delivery>> | undefined
  const ask = (): Promise<IteratorResult<Delivery>> => {
    asked ??= iterator.next()
    return asked
  }
  const next = async (): Promise<Delivery> => {
    const { done, value } = await patiently(ask(), 'a delivery')
    asked = undefined
    assert.ok(done !== true, 'the iteration has ended')
    return value as Delivery
  }
  return {
    next,
    async take(count) {
      const list: Delivery[] = []
      while (list.length < count) list.push(await next())
      return list
    },
    async came() {
      await ask()
    },
    async none(ms = 30) {
      let came: IteratorResult<Delivery> | undefined
      void ask().then((result) => {
        came = result
      })
      await clock.advance(ms)
      assert.equal(came, undefined, 'something came')
    },
    async ended() {
      const { done } = await patiently(ask(), 'the end')
      assert.equal(done, true, 'a delivery came instead of the end')
    },
    abort: () => controller.abort(),
    async [Symbol.asyncDispose]() {
      controller.abort()
      await iterator.return?.()
    },
  }
}

/** The consumer that gets a delivery first. */
export function firstOf<T extends TestConsumer>(consumers: readonly T[]): Promise<T> {
  return patiently(Promise.race(consumers.map((one) => one.came().then(() => one))), 'a delivery for any consumer')
}

/** Numbers that are the same at each run: mulberry32, public domain (Tommy Ettinger). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** The promise, which must settle within reasonable time. */
export async function patiently<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: { cancel(): void } | undefined
  const late = new Promise<never>((_, reject) => {
    timer = real.after(PATIENCE_MS, () => reject(new assert.AssertionError({ message: `${what} did not come` })))
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer?.cancel()
  }
}

/** The offset `count` behind or before another one, found by reading: offsets are opaque. */
export async function offsetsOf(log: MessageLog, stream: string): Promise<string[]> {
  const entries = await all(log.read(stream))
  return entries.flatMap((entry) => (entry.type === 'entry' ? [entry.offset] : []))
}
