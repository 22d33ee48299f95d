import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import type { Bus, OpenOptions } from '../../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../../src/testing/index.ts'
import { type Store, until } from '../../kept/support.ts'

export { BACKENDS, ledgerOf, type Store, until } from '../../kept/support.ts'

/** Retries that follow at once. */
export const AT_ONCE = { attempts: 4, firstDelayMs: 0, jitter: 'none' } as const

/** A bus on a store, under a clock that stands still. A log on disk answers when it likes: `quiet` waits until it has. */
export interface KeptRig extends AsyncDisposable {
  readonly bus: Bus
  readonly env: FakeEnv
  /** Moves the clock in small steps, so that what the log answers in between is met at its time. */
  advance(ms: number): Promise<void>
  /** Waits until it is so, moving the clock on by `stepMs` before each look. */
  when(condition: () => boolean | Promise<boolean>, stepMs?: number): Promise<void>
}

/** Opens a bus under a clock that stands still; ends at once, whatever still runs. */
export async function keptRig(store: Store, options: OpenOptions = {}, env: FakeEnv = fakeEnv()): Promise<KeptRig> {
  const bus = await store.open({ ...options, env })
  // A log in memory answers before the clock is looked at again: there is nothing to wait for.
  const rested = (): Promise<void> => (bus.health().backend?.name === 'memory' ? env.settle() : settled(env))
  const advance = async (ms: number): Promise<void> => {
    await rested()
    const stepMs = Math.max(1, ms / 10)
    for (let left = ms; left > 0; left -= stepMs) {
      await env.advance(Math.min(stepMs, left))
      await rested()
    }
  }
  return {
    bus,
    env,
    advance,
    when: (condition, stepMs = 0) =>
      until(async () => {
        await advance(stepMs)
        return condition()
      }),
    async [Symbol.asyncDispose]() {
      const closing = bus.close({ limitMs: 0 })
      await Promise.race([closing, pushed(env)])
      await closing
    },
  }
}

/** Questions to the threads of logs that have no answer yet. */
let owed = 0
const { postMessage, emit } = Worker.prototype
Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<typeof postMessage>) {
  owed++
  return postMessage.apply(this, args)
}
Worker.prototype.emit = function (this: Worker, ...args: Parameters<typeof emit>) {
  if (args[0] === 'message') owed--
  if (args[0] === 'exit') owed = 0
  return emit.apply(this, args)
} as typeof emit

/** Lets a log on disk come to rest: its thread owes no answer, and nobody has anything more to ask. */
export async function settled(env: FakeEnv): Promise<void> {
  for (let [turn, quiet] = [0, 0]; quiet < 3 && turn < 10_000; turn++) {
    await env.settle()
    await new Promise<void>((resolve) => void setTimeout(resolve, 1))
    quiet = owed <= 0 ? quiet + 1 : 0
  }
}

/** A clock that is pushed now and then, for what ends only by time. */
async function pushed(env: FakeEnv): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    await env.advance(10)
    await new Promise<void>((resolve) => void setTimeout(resolve, 1))
  }
}

/** The file of a log that several processes use one after another; gone when the test has ended. */
export function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-origin-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'swarm.db')
}

/** A process of its own. */
export interface Child {
  readonly process: ChildProcess
  /** Every line that it printed so far. */
  readonly lines: readonly string[]
  /** Resolves when it has printed the line; rejects when it ends before. */
  said(line: string): Promise<void>
  /** kill -9. Resolves when it is dead. */
  kill(): Promise<void>
  readonly ended: Promise<number | string | null>
}

const SOURCE = new URL('../../../src/index.ts', import.meta.url).href

/** Runs code in a process of its own, with `bus` open on the file, and `say(text)`. `options` is code. */
export function child(path: string, options: string, code: string): Child {
  const program = `
    import { openBus } from ${JSON.stringify(SOURCE)}
    const say = (text) => process.stdout.write(text + '\\n')
    const bus = await openBus(${JSON.stringify(`sqlite:${path}`)}, ${options})
    ${code}
  `
  const process_ = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: process_.stdout }).on('line', (line) => {
    lines.push(line)
    for (const look of [...waiting]) look()
  })
  let over = false
  const ended = new Promise<number | string | null>((resolve) =>
    process_.on('close', (exit, signal) => {
      over = true
      for (const look of [...waiting]) look()
      resolve(signal ?? exit)
    }),
  )
  const kill = async (): Promise<void> => {
    process_.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  return {
    process: process_,
    lines,
    ended,
    kill,
    said: (line) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (lines.includes(line)) resolve()
          else if (over) reject(new Error(`the child ended before it said "${line}"; it said: ${lines.join(' | ')}`))
          else return
          waiting.delete(look)
        }
        waiting.add(look)
        look()
      }),
  }
}
