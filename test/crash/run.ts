import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { type OpenOptions, openBus } from '../../src/index.ts'
import type { Final } from './checker.ts'
import type { Orders } from './child.ts'
import { type Event, readEvent } from './events.ts'

/** Compiled programs of the children: they start in half the time. */
const cache = mkdtempSync(join(tmpdir(), 'swarmbus-compiled-'))
afterAll(() => rmSync(cache, { recursive: true, force: true }))

const PROGRAM = fileURLToPath(new URL('./child.ts', import.meta.url))

/** An empty folder that is removed at the end of the block. */
export function place(): Disposable & { readonly path: string; readonly file: string } {
  const path = mkdtempSync(join(tmpdir(), 'swarmbus-crash-'))
  return { path, file: join(path, 'swarm.db'), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A child that runs, or ran. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess
  /** What it has said so far. */
  readonly said: readonly Event[]
  /** Resolves when what it has said meets the condition; rejects when it ends before. */
  until(condition: (said: readonly Event[]) => boolean): Promise<void>
  /** How it ended: its exit code or the signal; everything it said is in `said` by then. */
  readonly ended: Promise<number | string | null>
  /** What it wrote to its standard error. */
  readonly errors: () => string
}

/** Starts a child; at the end of the block it is killed, if it still runs. `onEvent` may kill it. */
export function start(orders: Orders, onEvent?: (event: Event, child: ChildProcess) => void): Child {
  const child = spawn(
    process.execPath,
    ['--conditions=swarmbus-source', '--no-warnings', PROGRAM, JSON.stringify(orders)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    },
  )
  const said: Event[] = []
  const waiting = new Set<() => void>()
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    const event = readEvent(line)
    said.push(event)
    onEvent?.(event, child)
    for (const look of waiting) look()
  })
  const heard = new Promise<void>((resolve) => lines.on('close', resolve))
  const ended = new Promise<number | string | null>((resolve) =>
    child.on('close', (code, signal) => void heard.then(() => resolve(signal ?? code))),
  )
  return {
    process: child,
    said,
    ended,
    errors: () => errors,
    until(condition) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (!condition(said)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        void ended.then((how) => {
          waiting.delete(look)
          reject(new Error(`the child ended with ${how} before: ${errors}`))
        })
        look()
      })
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Runs a child to its end. */
export async function run(orders: Orders, onEvent?: (event: Event, child: ChildProcess) => void) {
  await using child = start(orders, onEvent)
  const how = await child.ended
  return { how, said: child.said, errors: child.errors() }
}

/** Numbers of messages from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/** What of the numbers was not acknowledged. */
export function unacked(all: readonly number[], history: readonly Event[]): number[] {
  const acked = new Set(history.flatMap((event) => (event.type === 'ack' ? [event.n] : [])))
  return all.filter((n) => !acked.has(n))
}

/** Looks into a file without reading as a group. */
export async function look(file: string, options: OpenOptions = {}): Promise<Final> {
  await using bus = await openBus(`sqlite:${file}`, options)
  const stored: unknown[] = []
  for await (const { data } of bus.replay('work.>')) stored.push(data)
  const dead = await bus.deadLetters.list({ limit: 100_000 })
  return { stored, dead, channels: await bus.channels() }
}

/** Whole numbers below the given one, the same for the same seed. */
export function randomFrom(seed: number): (below: number) => number {
  // mulberry32, public domain (Tommy Ettinger).
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
