import type { Inlet } from './io.ts'

/** All of standard input as text, without the line end that closes it. */
export async function textOf({ chunks }: Inlet): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
  return `${text}${decoder.decode()}`.replace(/\r?\n$/, '')
}

/** The lines of standard input as they come, without their ends, until it ends or the signal is aborted. */
export async function* linesOf({ chunks }: Inlet, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const iterator = chunks[Symbol.asyncIterator]()
  const given = Promise.withResolvers<'aborted'>()
  const onAbort = (): void => given.resolve('aborted')
  signal.addEventListener('abort', onAbort, { once: true })
  let rest = ''
  try {
    while (!signal.aborted) {
      // A read that waits for somebody's keyboard does not end by itself.
      const step = await Promise.race([iterator.next(), given.promise])
      if (step === 'aborted') return
      const text = step.done
        ? decoder.decode()
        : typeof step.value === 'string'
          ? step.value
          : decoder.decode(step.value, { stream: true })
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        yield line.replace(/\r$/, '')
        if (signal.aborted) return
      }
      if (!step.done) continue
      if (rest !== '') yield rest.replace(/\r$/, '')
      return
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** True when the first line that a person types is yes. */
export async function isYes(stdin: Inlet, signal: AbortSignal): Promise<boolean> {
  for await (const line of linesOf(stdin, signal)) return /^\s*y(es)?\s*$/i.test(line)
  return false
}
