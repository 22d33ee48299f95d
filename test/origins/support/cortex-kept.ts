import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Bus } from '../../../src/index.ts'
import type { FakeEnv } from '../../../src/testing/index.ts'
import { until } from '../../kept/support.ts'
import type { Task } from './cortex-child.ts'

export { BACKENDS, ledgerOf, type Store, until } from '../../kept/support.ts'

const PROGRAM = fileURLToPath(new URL('./cortex-child.ts', import.meta.url))

/** An empty folder that is removed at the end of the block. */
export function place(): Disposable & { readonly file: string } {
  const path = mkdtempSync(join(tmpdir(), 'swarmbus-cortex-'))
  return { file: join(path, 'swarm.db'), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A child process that says what it does. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess
  readonly said: readonly string[]
  /** Resolves when it has said so many lines; rejects when it ends before. */
  lines(count: number): Promise<void>
  /** kill -9; resolves when it is dead and everything it said was read. */
  kill(): Promise<void>
  readonly ended: Promise<void>
}

export function child(task: Task): Child {
  const program = spawn(
    process.execPath,
    ['--conditions=swarmbus-source', '--no-warnings', PROGRAM, JSON.stringify(task)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const said: string[] = []
  let over = false
  const reading = createInterface({ input: program.stdout })
  reading.on('line', (line) => said.push(line))
  const read = new Promise<void>((resolve) => reading.on('close', resolve))
  const ended = new Promise<void>((resolve) => {
    program.on('close', () => {
      over = true
      void read.then(resolve)
    })
  })
  const kill = async (): Promise<void> => {
    program.kill('SIGKILL')
    await ended
  }
  return {
    process: program,
    said,
    ended,
    kill,
    async lines(count) {
      await until(() => said.length >= count || over, `line ${count} of the child`)
      if (said.length < count) throw new Error(`the child ended after ${said.length} of ${count} lines`)
    },
    [Symbol.asyncDispose]: kill,
  }
}

/** The numbers that follow a word in what a child said. */
export function numbersAfter(word: string, said: readonly string[]): number[] {
  return said.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.slice(word.length + 1)))
}

/** The bus's ledger, summed over its channels, once it meets the condition. */
export async function ledgerUntil(
  bus: Bus,
  condition: (ledger: Readonly<Record<string, number>>) => boolean,
): Promise<void> {
  await until(async () => {
    const sum: Record<string, number> = {}
    for (const { ledger } of await bus.channels()) {
      for (const [field, count] of Object.entries(ledger)) sum[field] = (sum[field] ?? 0) + count
    }
    return condition(sum)
  }, 'the ledger')
}

/** Moves the clock on in steps until it is so, at most `mostMs`; a log on disk answers between the steps. */
export async function passUntil(env: FakeEnv, condition: () => boolean, stepMs: number, mostMs: number): Promise<void> {
  for (let passedMs = 0; passedMs <= mostMs && !condition(); passedMs += stepMs) {
    await env.advance(stepMs)
    await new Promise<void>((resolve) => void setTimeout(resolve, 5))
  }
  if (!condition()) throw new Error(`not so within ${mostMs} ms`)
}

/** Moves the clock on from one look of retention to the next until it is so; a log on disk answers between them. */
export async function sweptUntil(env: FakeEnv, condition: () => Promise<boolean>): Promise<void> {
  for (let sweep = 0; sweep < 20; sweep++) {
    await env.advance(15_000)
    for (let turn = 0; turn < 20; turn++) {
      if (await condition()) return
      await new Promise<void>((resolve) => void setTimeout(resolve, 5))
    }
  }
  throw new Error('retention did not come to it')
}

/** Ends a bus on a clock that stands still. */
export async function close(bus: Bus): Promise<void> {
  await bus.close({ limitMs: 0 })
}
