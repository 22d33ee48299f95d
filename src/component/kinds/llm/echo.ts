import type { Env } from '../../../kit/env.ts'
import { pause } from './pause.ts'
import type { Model, Part } from './provider.ts'

/** How an echo answers. */
export interface EchoOptions {
  /** Stands before what it repeats. Default none. */
  readonly prefix?: string
  /** Milliseconds between two words. Default 0. */
  readonly delayMs?: number
}

/** A model that repeats what it was told, word for word: for trying a swarm without a provider. */
export function echoModel(env: Env, { prefix = '', delayMs = 0 }: EchoOptions = {}): Model {
  return Object.freeze({
    name: 'echo',
    async *generate({ turns, signal }): AsyncGenerator<Part, void, undefined> {
      const last = turns.findLast((turn) => turn.role !== 'assistant')
      for (const word of wordsOf(prefix + (last?.text ?? ''))) {
        signal.throwIfAborted()
        yield { type: 'text-delta', text: word }
        await pause(env, delayMs, signal)
      }
    },
  } satisfies Model)
}

/** The words of a text, each with the white space before it: joined they are the text. */
export function wordsOf(text: string): readonly string[] {
  return text.match(/\s*\S+|\s+$/g) ?? []
}
