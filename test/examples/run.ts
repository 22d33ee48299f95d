import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** The repository's root, where the programs run. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** How a program ended, and what it said. */
export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Running {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly ended: Promise<Ended>
  /** Resolves when standard output holds the text. Rejects when the program ends without it. */
  said(text: string): Promise<void>
}

/** Starts node with the sources of swarmbus; `input` is all of its standard input, undefined leaves it open. */
export function start(args: readonly string[], input: string | Uint8Array | undefined): Running {
  const { FORCE_COLOR: _force, NODE_OPTIONS: _options, ...env } = process.env
  const child = spawn(process.execPath, ['--conditions=swarmbus-source', ...args], {
    cwd: ROOT,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  // A program that does not read its input closes the pipe: no fault of the test.
  child.stdin.on('error', () => undefined)
  if (input !== undefined) child.stdin.end(input)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!out.includes(text)) return
        child.stdout.off('data', look)
        resolve()
      }
      child.stdout.on('data', look)
      child.on('close', () => reject(new Error(`ended without saying "${text}": ${out}${err}`)))
      look()
    })
  return { child, ended, said }
}

/** Runs a program to its end. */
export function run(args: readonly string[], input: string | Uint8Array = ''): Promise<Ended> {
  return start(args, input).ended
}
