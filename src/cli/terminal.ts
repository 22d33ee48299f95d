import type { Terminal } from '../component/kind.ts'
import { linesOf } from './input.ts'
import type { CliIo } from './io.ts'

/** How components meet whoever runs the program. */
export interface TerminalOptions {
  /** Ends the lines. */
  readonly signal: AbortSignal
  /** What components print goes through it. */
  readonly mask: (text: string) => string
  /** With --json: what is printed becomes objects, a line each. */
  readonly json: boolean
  /** What is printed before waits for it: a prompt must not stand in the middle of what is told of the start. */
  readonly ready: Promise<unknown>
}

/** Standard input and output as a terminal for components. */
export function terminalOf({ stdin, stdout }: CliIo, { signal, mask, json, ready }: TerminalOptions): Terminal {
  let early: string[] | undefined = []
  const print = (text: string): void => {
    // A slow reader makes the stream wait, not the component: what it prints is short, or comes in parts that it awaits itself.
    void stdout.write(text)
  }
  const release = (): void => {
    for (const text of early ?? []) print(text)
    early = undefined
  }
  ready.then(release, release)
  return {
    interactive: stdin.isTTY && stdout.isTTY && !json,
    lines: () => linesOf(stdin, signal),
    write(text) {
      const shown = mask(text)
      const line = json ? `${JSON.stringify({ type: 'output', text: shown })}\n` : shown
      if (early === undefined) print(line)
      else early.push(line)
    },
  }
}
