import type { Env } from '../../../kit/env.ts'
import { BusError } from '../../../kit/errors.ts'
import { wordsOf } from './echo.ts'
import { pause } from './pause.ts'
import type { Model, Part, Turn } from './provider.ts'
import type { ScriptedAnswer } from './script.ts'

/** How a script is played. */
export interface ScriptedOptions {
  readonly answers: readonly ScriptedAnswer[]
  /** Begins anew after the last answer. Default false: HANDLER_FAILED. */
  readonly repeat?: boolean
  /** Milliseconds between two words. Default 0. */
  readonly delayMs?: number
}

/** Most conversations whose place in the script is remembered; the one that was quiet for longest is forgotten. */
const MOST_SESSIONS = 10_000

/**
 * A model that answers from a list: each conversation plays it from the start. In its texts and inputs `{input}` is what the person said
 * last, `{observation}` what the last tool answered.
 */
export function scriptedModel(env: Env, { answers, repeat = false, delayMs = 0 }: ScriptedOptions): Model {
  const inTurn = answers.filter(({ when }) => when === undefined)
  const onWords = answers.filter(({ when }) => when !== undefined)
  const places = new Map<string | undefined, number>()
  let calls = 0

  function next(session: string | undefined, turns: readonly Turn[]): ScriptedAnswer {
    const last = (turns.at(-1)?.text ?? '').toLowerCase()
    const matching = onWords.find(({ when }) => last.includes((when as string).toLowerCase()))
    if (matching !== undefined) return matching
    const place = places.get(session) ?? 0
    const found = inTurn[repeat && inTurn.length > 0 ? place % inTurn.length : place]
    if (found === undefined) {
      const told = onWords.length > 0 ? ', and none for what was said' : ''
      throw new BusError('HANDLER_FAILED', `the script has no answer left after ${inTurn.length}${told}`)
    }
    places.delete(session)
    places.set(session, place + 1)
    if (places.size > MOST_SESSIONS) places.delete(places.keys().next().value)
    return found
  }

  return Object.freeze({
    name: 'scripted',
    async *generate({ turns, session, signal }): AsyncGenerator<Part, void, undefined> {
      const answer = next(session, turns)
      if (answer.error !== undefined) throw new BusError('HANDLER_FAILED', answer.error)
      const fill = (text: string): string => filled(text, turns)
      if (answer.thought !== undefined) yield { type: 'thought-delta', text: fill(answer.thought) }
      for (const word of wordsOf(fill(answer.text))) {
        signal.throwIfAborted()
        yield { type: 'text-delta', text: word }
        await pause(env, delayMs, signal)
      }
      for (const { tool, inputs } of answer.calls) {
        calls++
        yield { type: 'tool-call', call: { id: `call-${calls}`, name: tool, inputs: filledInputs(inputs, fill) } }
      }
    },
  } satisfies Model)
}

function filled(text: string, turns: readonly Turn[]): string {
  return text.replace(/\{(input|observation)\}/g, (_whole, name: string) => {
    const role = name === 'input' ? 'user' : 'tool'
    return turns.findLast((turn) => turn.role === role)?.text ?? ''
  })
}

function filledInputs(
  inputs: Readonly<Record<string, unknown>>,
  fill: (text: string) => string,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, typeof value === 'string' ? fill(value) : value]),
  )
}
