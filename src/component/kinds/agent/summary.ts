import { collectAnswer, type Model, type Turn } from '../llm/provider.ts'
import { PER_TOKEN, tokensOf } from './tokens.ts'

/** What is needed to shorten a conversation. */
export interface Shortening {
  readonly model: Model
  readonly session: string | undefined
  readonly signal: AbortSignal
  /** Above so many tokens. */
  readonly limit: number
}

const ASK =
  'Sum up this conversation for whoever goes on with it: what was asked, what was found out, what was decided, what is left to do. ' +
  'Keep names, figures and results exactly.'

/**
 * The conversation as it is, or, when it is above the limit, the question, a summary of what followed by the model, and the last round
 * where that is small.
 */
export async function shortened(
  turns: readonly Turn[],
  { model, session, signal, limit }: Shortening,
): Promise<readonly Turn[]> {
  if (tokensOf(turns) <= limit) return turns
  const question = turns.findIndex((turn) => turn.role === 'user')
  const lastRound = turns.findLastIndex((turn) => turn.role === 'assistant')
  const tail = lastRound > question && tokensOf(turns.slice(lastRound)) <= limit / 4 ? turns.slice(lastRound) : []
  const middle = turns.slice(0, turns.length - tail.length)
  const story = await collectAnswer(
    model.generate({ system: ASK, turns: [{ role: 'user', text: told(middle, limit) }], tools: [], session, signal }),
  )
  return [
    ...(question < 0 ? [] : [turns[question] as Turn]),
    { role: 'user', text: `Summary of what happened up to now:\n${story.text}` },
    ...tail,
  ]
}

/** A conversation as one text; what follows its beginning goes where even that is too much for a model. */
function told(turns: readonly Turn[], limit: number): string {
  const [first = '', ...rest] = turns.map(
    (turn) => `${turn.role === 'tool' ? `tool ${turn.tool}` : turn.role}: ${turn.text}`,
  )
  const most = limit * PER_TOKEN
  const text = rest.join('\n')
  return `${first.slice(0, most / 2)}\n${text.length > most / 2 ? `…${text.slice(-most / 2)}` : text}`
}
