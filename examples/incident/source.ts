// Where tasks come from: arguments, standard input, a prompt, or the demonstration.

import { createInterface, type Interface } from 'node:readline'
import { linesOf, MAX_LINE_BYTES } from './lines.ts'

/** One input as it was given; what could not even be read has a fault. */
export type Given = { readonly where: string } & ({ readonly text: string } | { readonly fault: string })

/** Shows routes, priorities, competition, a return, a missed deadline and a question. */
export const DEMONSTRATION = [
  'low: document the cache settings',
  'low: rename the helpers in utils',
  'review and deploy the payment form',
  'normal 60ms: upgrade every dependency at once',
  'add a csv export endpoint to reports',
  'critical 30s: Production is down: fix auth',
  'what is everybody doing?',
]

/** Arguments or demonstration tasks, in order. */
export async function* listed(word: string, texts: readonly string[]): AsyncGenerator<Given> {
  for (const [index, text] of texts.entries()) {
    const bytes = Buffer.byteLength(text)
    const where = `${word} ${index + 1}`
    yield bytes > MAX_LINE_BYTES
      ? { where, fault: `it has ${bytes} bytes; at most ${MAX_LINE_BYTES} are taken` }
      : { where, text }
  }
}

/** Standard input line by line; the demonstration when it holds nothing at all. Rejects when it breaks. */
export async function* piped(input: AsyncIterable<Uint8Array>, onDemonstration: () => void): AsyncGenerator<Given> {
  let any = false
  for await (const line of linesOf(input)) {
    any = true
    const where = `line ${line.number}`
    yield line.type === 'text' ? { where, text: line.text } : { where, fault: line.fault }
  }
  if (any) return
  onDemonstration()
  yield* listed('demonstration task', DEMONSTRATION)
}

/** A prompt; an empty line or Ctrl-D ends it. */
export interface Prompt {
  readonly given: AsyncGenerator<Given>
  /** Prints above the prompt, and shows it again with what was typed. */
  print(text: string): void
  close(): void
}

export function prompt(input: NodeJS.ReadStream, output: NodeJS.WriteStream, onInterrupt: () => void): Prompt {
  const lines: Interface = createInterface({ input, output, prompt: 'task> ' })
  let open = true
  lines.on('SIGINT', onInterrupt)
  lines.on('close', () => {
    open = false
  })
  async function* given(): AsyncGenerator<Given> {
    let number = 0
    lines.prompt()
    for await (const text of lines) {
      if (text.trim() === '') break
      yield { where: `line ${++number}`, text }
      if (open) lines.prompt()
    }
    lines.close()
  }
  return {
    given: given(),
    print(text) {
      if (!open) {
        output.write(text)
        return
      }
      output.write(`\r\u001b[K${text}`)
      lines.prompt(true)
    },
    close: () => lines.close(),
  }
}
