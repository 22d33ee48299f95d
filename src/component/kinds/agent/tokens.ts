import type { Turn } from '../llm/provider.ts'

/** About four characters of Latin text are a token; of other writing one is about one. */
export const PER_TOKEN = 4

/** How many tokens a text has, about: models count differently, and a limit needs no more. */
export function tokensIn(text: string): number {
  let others = 0
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x2ff) others++
  return Math.ceil((text.length - others) / PER_TOKEN) + others
}

/** How many tokens a conversation has, about. */
export function tokensOf(turns: readonly Turn[]): number {
  return turns.reduce((sum, turn) => sum + tokensIn(turn.text) + callTokens(turn), 0)
}

function callTokens(turn: Turn): number {
  if (turn.role !== 'assistant' || turn.calls === undefined) return 0
  return turn.calls.reduce((sum, call) => sum + tokensIn(call.name) + tokensIn(JSON.stringify(call.inputs)), 0)
}
