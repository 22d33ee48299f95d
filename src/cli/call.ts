import type { Command } from 'commander'
import { CliError, EXIT } from './faults.ts'
import type { CliIo } from './io.ts'
import type { Output } from './output.ts'

/** The options that every command has. */
export interface GlobalOptions {
  readonly url?: string
  readonly file?: string
  readonly json?: boolean
  readonly debug?: boolean
}

/** What ends a command before its time. */
export interface Stop {
  readonly signal: AbortSignal
  /** True after Ctrl-C; false when the reader of standard output went away. */
  interrupted(): boolean
}

/** One call of the program, as its command sees it. */
export interface Call {
  readonly io: CliIo
  readonly out: Output
  readonly options: GlobalOptions
  /** From now on Ctrl-C, and a reader that goes away, abort the signal instead of ending the process; a second Ctrl-C ends it. */
  stop(): Stop
}

/** Makes the action of a command out of its function: the command's arguments and options in, an exit code out. */
export type Act = <Args extends readonly unknown[]>(
  run: (call: Call, ...args: Args) => Promise<number>,
) => (...args: [...Args, Command]) => Promise<void>

/** A {@link Call}, and how it is put away. */
export interface OpenCall extends Call {
  end(): void
  /** Why standard output could not be written; undefined when it could, or its reader just went away. */
  broken(): Error | undefined
}

/** Begins a call. */
export function openCall(io: CliIo, out: Output, options: GlobalOptions): OpenCall {
  const gone = new AbortController()
  let failure: Error | undefined
  let wasInterrupted = false
  let stop: Stop | undefined
  const ends = [
    io.stdout.onEnd((error) => {
      failure = error
      gone.abort()
    }),
  ]
  return {
    io,
    out,
    options,
    broken: () => failure,
    stop() {
      if (stop !== undefined) return stop
      ends.push(
        io.onSignal(() => {
          if (wasInterrupted) io.exit(EXIT.interrupted)
          // A terminal shows Ctrl-C as ^C, in the middle of a line.
          if (io.stderr.isTTY) void io.stderr.write('\n')
          wasInterrupted = true
          gone.abort()
        }),
      )
      stop = { signal: gone.signal, interrupted: () => wasInterrupted }
      return stop
    },
    end() {
      for (const end of ends) end()
    },
  }
}

/** The exit code of work that may have been stopped: a reader that went away wanted no more, which is no fault. */
export function exitOf(stop: Stop): number {
  return stop.interrupted() ? EXIT.interrupted : EXIT.ok
}

/** A fault in how the program was called. */
export function usage(message: string, next: string): CliError {
  return new CliError(EXIT.usage, message, next)
}
