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
}

/** Standard input and output as a terminal for components. */
export function terminalOf({ stdin, stdout }: CliIo, { signal, mask, json }: TerminalOptions): Terminal {
  return {
    interactive: stdin.isTTY && stdout.isTTY && !json,
    lines: () => linesOf(stdin, signal),
    write(text) {
      const shown = mask(text)
      // A slow reader makes the stream wait, not the component: what it prints is short, or comes in parts that it awaits itself.
      void stdout.write(json ? `${JSON.stringify({ type: 'output', text: shown })}\n` : shown)
    },
  }
}
