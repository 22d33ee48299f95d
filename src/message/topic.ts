import { BusError } from '../kit/errors.ts'

/** Longest topic or pattern, in characters. */
export const MAX_TOPIC_LENGTH = 256
/** Most tokens of a topic or pattern. */
export const MAX_TOPIC_TOKENS = 16

const FORBIDDEN = /[\s\p{Cc}]/u

function refuse(kind: 'topic' | 'pattern', text: string, fault: string, details: Record<string, unknown>): never {
  const picture = text.length > 80 ? `${text.slice(0, 77)}…` : text
  throw new BusError('INVALID_TOPIC', `${kind} "${picture}": ${fault}`, { details: { [kind]: picture, ...details } })
}

function tokensOf(kind: 'topic' | 'pattern', text: unknown): readonly string[] {
  if (typeof text !== 'string') refuse(kind, String(typeof text), 'it must be a text', {})
  if (text === '') refuse(kind, text, 'it is empty', {})
  if (text.length > MAX_TOPIC_LENGTH) {
    refuse(kind, text, `it has ${text.length} characters; at most ${MAX_TOPIC_LENGTH} are allowed`, {
      length: text.length,
    })
  }
  const tokens = text.split('.')
  if (tokens.length > MAX_TOPIC_TOKENS) {
    refuse(kind, text, `it has ${tokens.length} tokens; at most ${MAX_TOPIC_TOKENS} are allowed`, {
      tokens: tokens.length,
    })
  }
  for (const [index, token] of tokens.entries()) {
    const place = `token ${index + 1}`
    if (token === '') refuse(kind, text, `${place} is empty`, { token, index })
    if (FORBIDDEN.test(token)) {
      refuse(kind, text, `${place} ${JSON.stringify(token)} has white space or a control character`, { token, index })
    }
  }
  return tokens
}

/**
 * The tokens of a topic: text joined by dots, at most 256 characters and 16 tokens, no empty token, no white space. A token that is
 * exactly `*` or `>` is a wildcard and refused here; inside a longer token both are ordinary characters (the grammar of NATS).
 * Throws INVALID_TOPIC naming the offending token.
 */
export function parseTopic(text: string): readonly string[] {
  const tokens = tokensOf('topic', text)
  for (const [index, token] of tokens.entries()) {
    if (token === '*' || token === '>') {
      refuse('topic', text, `token ${index + 1} "${token}" is a wildcard; a message needs one exact topic`, {
        token,
        index,
      })
    }
  }
  return tokens
}

/**
 * The tokens of a pattern: a topic in which `*` stands for exactly one token and a last `>` for one or more.
 * Throws INVALID_TOPIC naming the offending token.
 */
export function parsePattern(text: string): readonly string[] {
  const tokens = tokensOf('pattern', text)
  for (const [index, token] of tokens.entries()) {
    if (token === '>' && index < tokens.length - 1) {
      refuse('pattern', text, `token ${index + 1} ">" must be the last one`, { token, index })
    }
  }
  return tokens
}

/** True when the pattern has a wildcard. */
export function isWildcard(tokens: readonly string[]): boolean {
  return tokens.includes('*') || tokens.at(-1) === '>'
}

/** True when the tokens of a topic fit the tokens of a pattern. Takes at most as many steps as there are tokens. */
export function matchesTokens(pattern: readonly string[], topic: readonly string[]): boolean {
  for (const [index, token] of pattern.entries()) {
    if (token === '>') return topic.length > index
    if (index >= topic.length || (token !== '*' && token !== topic[index])) return false
  }
  return pattern.length === topic.length
}

/** True when the topic fits the pattern. Throws INVALID_TOPIC for either. */
export function matchesTopic(pattern: string, topic: string): boolean {
  return matchesTokens(parsePattern(pattern), parseTopic(topic))
}
