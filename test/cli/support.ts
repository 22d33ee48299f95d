import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Bus } from '../../src/bus/bus.ts'
import type { CliIo, Outlet } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/run.ts'
import { type Env, systemEnv } from '../../src/kit/env.ts'
import type { MessageLog } from '../../src/log/log.ts'
import { openBus } from '../../src/node/node.ts'

/** What the program is given in a test. */
export interface Given {
  readonly stdin?: string | AsyncIterable<string>
  readonly env?: Readonly<Record<string, string>>
  /** Columns of a terminal on all three streams; without it there is none. */
  readonly terminal?: number
  readonly clock?: Env
  readonly log?: MessageLog
  /** Called with everything that is written to standard output; the program waits for what it returns. */
  readonly onOut?: (text: string, call: Running) => unknown
  /** Called with everything that is written to standard error. */
  readonly onErr?: (text: string, call: Running) => unknown
}

/** A program that runs in this process. */
export interface Running {
  readonly done: Promise<Ended>
  out(): string
  err(): string
  interrupt(): void
  /** The reader of standard output goes away. */
  leave(error?: Error): void
  /** Resolves once the text was written to standard output. */
  until(text: string): Promise<void>
}

/** What is left of a run. */
export interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
  /** Exit codes of ends at once: a second Ctrl-C. */
  readonly exits: readonly number[]
}

/** Starts the program in this process. */
export function start(argv: readonly string[], given: Given = {}): Running {
  const texts = { out: '', err: '' }
  const exits: number[] = []
  const handlers = new Set<() => void>()
  const leavers = new Set<(error: Error | undefined) => void>()
  const waiting: { readonly text: string; readonly resolve: () => void }[] = []
  let gone = false
  const outlet = (name: 'out' | 'err'): Outlet => ({
    isTTY: given.terminal !== undefined,
    columns: () => given.terminal,
    async write(text) {
      if (gone && name === 'out') return
      texts[name] += text
      for (const one of waiting) if (texts.out.includes(one.text)) one.resolve()
      await (name === 'out' ? given.onOut : given.onErr)?.(text, running)
    },
    onEnd(run) {
      if (name === 'out') leavers.add(run)
      return () => leavers.delete(run)
    },
  })
  const { log } = given
  const io: CliIo = {
    stdout: outlet('out'),
    stderr: outlet('err'),
    stdin: { isTTY: given.terminal !== undefined, chunks: chunksOf(given.stdin ?? ''), close: () => undefined },
    env: given.env ?? {},
    clock: given.clock ?? systemEnv(),
    onSignal(run) {
      handlers.add(run)
      return () => handlers.delete(run)
    },
    exit: (code) => void exits.push(code),
    ...(log === undefined ? {} : { openLog: async () => unclosed(log) }),
  }
  const running: Running = {
    done: Promise.resolve().then(async () => ({ code: await runCli(argv, io), ...texts, exits })),
    out: () => texts.out,
    err: () => texts.err,
    interrupt() {
      for (const run of handlers) run()
    },
    leave(error) {
      gone = true
      for (const run of leavers) run(error)
    },
    until: (text) =>
      new Promise((resolve) => {
        waiting.push({ text, resolve })
        if (texts.out.includes(text)) resolve()
      }),
  }
  return running
}

/** Runs the program in this process to its end. */
export function cli(argv: readonly string[], given: Given = {}): Promise<Ended> {
  return start(argv, given).done
}

async function* chunksOf(text: string | AsyncIterable<string>): AsyncGenerator<string> {
  if (typeof text === 'string') yield text
  else yield* text
}

/** The test goes on with the log after the program has closed it. */
function unclosed(log: MessageLog): MessageLog {
  return { ...log, [Symbol.asyncDispose]: async () => undefined }
}

/** A folder that goes with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'swarmbus-cli-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A file with a log that was filled through a bus. */
export async function filled(fill: (bus: Bus) => Promise<unknown>): Promise<string> {
  const file = join(folder(), 'swarm.db')
  await fillFile(file, fill)
  return file
}

/** Opens a log in a file, lets a bus work with it, and closes it. */
export async function fillFile(file: string, fill: (bus: Bus) => Promise<unknown>): Promise<void> {
  await using bus = await openBus(`sqlite:${file}`, { defaults: { retry: { attempts: 1 } } })
  await fill(bus)
}

/** Three letters that died in the group `coders` (a, b on tasks.coding, c of session s1 on tasks.review), beside one that did not. */
export async function withDeadLetters(): Promise<string> {
  return filled(async (bus) => {
    bus.subscribe(
      'tasks.*',
      (message) => {
        if (message.data !== 'good') throw new Error(`cannot do ${JSON.stringify(message.data)}`)
      },
      { group: 'coders' },
    )
    await bus.publish('tasks.coding', { title: 'a' }, { until: 'handled' })
    await bus.publish('tasks.coding', 'b', { until: 'handled', priority: 'high' })
    await bus.publish('tasks.review', 'c', { until: 'handled', session: 's1', from: 'pink' })
    await bus.publish('tasks.coding', 'good', { until: 'handled' })
  })
}

/** Turns every bit of the bytes that hold the text, wherever the file has it. */
export function damage(file: string, text: string): void {
  const bytes = readFileSync(file)
  let count = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length)) {
    for (let index = at; index < at + text.length; index++) bytes[index] = (bytes[index] ?? 0) ^ 0xff
    count++
  }
  if (count === 0) throw new Error(`${file} does not hold ${text}`)
  writeFileSync(file, bytes)
}

/** Names in a folder, to see that nothing was made. */
export function namesIn(path: string): readonly string[] {
  return readdirSync(path).sort()
}

/** JSON, one object a line. */
export function jsonLines(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
}
