import { type ChildProcess, spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { type Bus, type BusError, type EventName, isBusError, type OpenOptions, openBus } from '../../src/index.ts'
import { startNats } from '../servers/nats.ts'
import { startRedis } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'

/** A broker whose server a test may hurt: one server for each test file, as tests of one file run one after another. */
export interface Kind {
  readonly name: 'redis' | 'nats'
  readonly start: () => Promise<Server>
  /** What a channel on it can promise as it is started here. */
  readonly level: 'disk' | 'process'
}

export const KINDS: readonly Kind[] = [
  { name: 'redis', start: () => startRedis(), level: 'disk' },
  { name: 'nats', start: () => startNats(), level: 'process' },
]

let places = 0

/** The url with a prefix that no other test has. */
export function placeOn(url: string, settings: string = ''): string {
  return `${url}?prefix=f${process.pid}-${++places}${settings}`
}

/** Opens a bus that ends with the test, whatever state its broker is in then. */
export async function open(url: string, options: OpenOptions = {}): Promise<Bus> {
  const bus = await openBus(url, options)
  onTestFinished(async () => void (await bus.close({ limitMs: 0 })))
  return bus
}

/** The error that a promise rejects with; fails the test when it does not reject with one of ours. */
export async function faultOf(promise: Promise<unknown>): Promise<BusError> {
  try {
    await promise
  } catch (error) {
    if (isBusError(error)) return error
    throw error
  }
  throw new Error('it did not reject')
}

/** The code with which a promise rejects, or `ok`. */
export async function codeOf(promise: PromiseLike<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: unknown) => (isBusError(error) ? error.code : String(error)),
  )
}

/** What a promise came to, and after how many milliseconds. */
export async function timed(promise: PromiseLike<unknown>): Promise<{ readonly code: string; readonly ms: number }> {
  const from = performance.now()
  const code = await codeOf(promise)
  return { code, ms: performance.now() - from }
}

/** The ledger of a channel; undefined while there is no such channel. */
export async function ledgerOf(bus: Bus, channel: string): Promise<Readonly<Record<string, number>> | undefined> {
  const found = (await bus.channels()).find(({ name }) => name === channel)
  return found && { ...found.ledger }
}

/** What a bus announced, in order; listening ends with the test. */
export function heard(
  bus: string,
  ...events: EventName[]
): { readonly event: EventName; readonly fields: Record<string, unknown> }[] {
  const list: { event: EventName; fields: Record<string, unknown> }[] = []
  for (const event of events) {
    const listen = (fields: unknown): void => {
      if ((fields as { bus: string }).bus === bus) list.push({ event, fields: fields as Record<string, unknown> })
    }
    subscribe(`swarmbus.${event}`, listen)
    onTestFinished(() => void unsubscribe(`swarmbus.${event}`, listen))
  }
  return list
}

const SOURCE = new URL('../../src/index.ts', import.meta.url).href

/** A bus in a process of its own. */
export interface Child {
  /** Every line that it printed so far. */
  readonly lines: readonly string[]
  readonly pid: number
  signal(name: NodeJS.Signals): void
  /** kill -9. Resolves when it is dead. */
  kill(): Promise<void>
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>
}

/** Runs code in a process of its own, with `bus` open on the url, and `say(text)`; `options` is code, too. Resolves when all of it has run. */
export async function child(
  url: string,
  options: string,
  code: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const program = `
    import { openBus } from ${JSON.stringify(SOURCE)}
    import { writeSync } from 'node:fs'
    const say = (text) => writeSync(1, text + '\\n')
    const bus = await openBus(${JSON.stringify(url)}, ${options})
    ${code}
    say('ready')
  `
  const running: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...variables },
  })
  const lines: string[] = []
  const ready = Promise.withResolvers<void>()
  createInterface({ input: running.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    if (line === 'ready') ready.resolve()
    else lines.push(line)
  })
  const ended = once(running, 'close').then(([exit, signal]) => (signal ?? exit) as number | string | null)
  void ended.then((how) => ready.reject(new Error(`the child ended with ${how}; it said: ${lines.join(' | ')}`)))
  const kill = async (): Promise<void> => {
    running.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  await ready.promise
  return { lines, pid: running.pid as number, signal: (name) => void running.kill(name), kill, ended }
}
