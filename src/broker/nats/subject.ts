/**
 * What swarmbus names, as tokens of a subject and back. NATS takes any text without white space; what is odd for it, or would be lost as
 * UTF-8, is written as `%` and the four hex digits of each UTF-16 unit. Whole tokens `*` and `>` of a pattern stay wildcards.
 */
const ODD = /[^!-~]|[%*>.]/g
const WRITTEN = /%([0-9a-f]{4})/g

/** One token of a subject for any text that is not empty. */
export function tokenOf(text: string): string {
  return text.replace(
    ODD,
    (unit) =>
      // Without the flag `u` a pair of surrogates comes as two units.
      `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The text of a token. */
export function textOf(token: string): string {
  return token.replace(WRITTEN, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}

/** The end of a subject for the tokens of a pattern or topic. */
export function subjectOf(tokens: readonly string[]): string {
  return tokens.map((token) => (token === '*' || token === '>' ? token : tokenOf(token))).join('.')
}

/** The topic of the end of a subject. */
export function topicOf(subject: string): string {
  return subject.split('.').map(textOf).join('.')
}
