import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** A process of its own, with a bus open on the url that it was given. */
export interface Child {
  readonly process: ChildProcess
  /** Every line that it said so far. */
  readonly lines: readonly string[]
  /** What it said after a word, as text: `after('took')` of "took 7" is "7". */
  after(word: string): readonly string[]
  /** Resolves when it has said a line that begins so, or so many of them; rejects when it ends before. */
  said(begin: string, count?: number): Promise<void>
  /** kill -9. Resolves when it is dead and everything that it said was read. */
  kill(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
  /** Tells it to end in order. */
  terminate(): void
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>
}

const SOURCE = new URL('../../src/index.ts', import.meta.url).href

/**
 * Runs code in a process of its own, with `bus` open on the url, `say(text)`, `sleep(ms)` and `now()`: milliseconds that every process of
 * this machine counts alike. `options` is code. It says "open" when it is one of the swarm, and closes its bus when it is told to end.
 */
export function childOn(url: string, options: string, code: string): Child {
  const program = `
    import { writeSync } from 'node:fs'
    import { openBus } from ${JSON.stringify(SOURCE)}
    const say = (text) => void writeSync(1, text + '\\n')
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    const now = () => performance.timeOrigin + performance.now()
    const bus = await openBus(${JSON.stringify(url)}, ${options})
    process.on('SIGTERM', () => bus.close().then((report) => {
      say('closed ' + JSON.stringify(report))
      process.exit(0)
    }))
    say('open')
    ${code}
  `
  const own = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const look = (): void => {
    for (const one of [...waiting]) one()
  }
  createInterface({ input: own.stdout }).on('line', (line) => {
    lines.push(line)
    look()
  })
  let over = false
  const ended = new Promise<number | string | null>((resolve) =>
    own.on('close', (exit, signal) => {
      over = true
      look()
      resolve(signal ?? exit)
    }),
  )
  const kill = async (): Promise<void> => {
    own.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  return {
    process: own,
    lines,
    ended,
    kill,
    pause: () => void own.kill('SIGSTOP'),
    resume: () => void own.kill('SIGCONT'),
    terminate: () => void own.kill('SIGTERM'),
    after: (word) => lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1)),
    said: (begin, count = 1) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (lines.filter((line) => line.startsWith(begin)).length >= count) resolve()
          else if (over) reject(new Error(`the child ended before it said "${begin}"; it said: ${lines.join(' | ')}`))
          else return
          waiting.delete(check)
        }
        waiting.add(check)
        check()
      }),
  }
}
