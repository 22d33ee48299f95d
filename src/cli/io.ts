import { type Env, systemEnv } from '../kit/env.ts'
import type { OpenLogOptions } from '../node/backends.ts'

// The program's only way to the outside: streams, signals, the environment and the end of the process.

/** Where text goes. */
export interface Outlet {
  readonly isTTY: boolean
  /** Characters of a line on a terminal; undefined where there is none. */
  columns(): number | undefined
  /** Resolves once there is room for more, so that a slow reader slows the program. Does nothing once the reader is gone. */
  write(text: string): Promise<void>
  /** Calls `run` when nobody reads any more: without an error for a closed pipe. Returns how to end that. */
  onEnd(run: (error: Error | undefined) => void): () => void
}

/** Where text comes from. */
export interface Inlet {
  readonly isTTY: boolean
  readonly chunks: AsyncIterable<Uint8Array | string>
  /** Gives up what is not read yet, so that the process may end. */
  close(): void
}

/** Everything the program takes from outside; the tests hand in their own. */
export interface CliIo {
  readonly stdout: Outlet
  readonly stderr: Outlet
  readonly stdin: Inlet
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Env
  /** Calls `run` for each Ctrl-C and each request to end, in place of dying at once. Returns how to end that. */
  onSignal(run: () => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
  /** Opens the log of a url; default: the backends of swarmbus. */
  readonly openLog?: (url: string, options: OpenLogOptions) => Promise<import('../log/log.ts').MessageLog>
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The streams, signals and clock of this process. */
export function processIo(): CliIo {
  return {
    stdout: outletOf(process.stdout),
    stderr: outletOf(process.stderr),
    stdin: {
      get isTTY() {
        return process.stdin.isTTY === true
      },
      get chunks() {
        return process.stdin
      },
      close: () => process.stdin.destroy(),
    },
    env: process.env,
    clock: systemEnv(),
    onSignal(run) {
      for (const signal of SIGNALS) process.on(signal, run)
      return () => {
        for (const signal of SIGNALS) process.off(signal, run)
      }
    },
    exit: (code) => process.exit(code),
  }
}

/**
 * Ends the process once everything is written. Timers and sockets that modules of a user left behind, or a start that was given up, keep
 * it no longer.
 */
export async function leave(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => void stream.write('', () => resolve()))
  }
  process.exit(code)
}

function outletOf(stream: NodeJS.WriteStream): Outlet {
  let gone = false
  let failure: Error | undefined
  const listeners = new Set<(error: Error | undefined) => void>()
  const waiting = new Set<() => void>()
  // Stays for the life of the process: without a listener, a pipe that is closed ends it with a stack.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (gone) return
    gone = true
    failure = error.code === 'EPIPE' ? undefined : error
    for (const run of listeners) run(failure)
    release()
  })
  function release(): void {
    for (const run of waiting) run()
    waiting.clear()
  }
  return {
    isTTY: stream.isTTY === true,
    columns: () => (stream.isTTY ? stream.columns : undefined),
    async write(text) {
      if (gone || stream.write(text)) return
      await new Promise<void>((resolve) => {
        if (waiting.size === 0) stream.once('drain', release)
        waiting.add(resolve)
      })
    },
    onEnd(run) {
      if (gone) run(failure)
      listeners.add(run)
      return () => listeners.delete(run)
    },
  }
}
