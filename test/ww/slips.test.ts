import { expect, test } from 'vitest'
import { LOAD_DIAGNOSTICS } from '../../src/config/load-codes.ts'
import { corpus } from './corpus.ts'
import { load } from './project.ts'

/** Slips of a finger: what a character becomes; undefined where the slip cannot happen. */
const SLIPS: Readonly<Record<string, (char: string) => string | undefined>> = {
  'a brace is missing': (char) => (char === '{' || char === '}' ? '' : undefined),
  'a brace stands twice': (char) => (char === '{' || char === '}' ? char + char : undefined),
  'a brace is a parenthesis': (char) => (char === '{' ? '(' : char === '}' ? ')' : undefined),
  'a bracket is missing': (char) => (char === '[' || char === ']' ? '' : undefined),
  'a bracket is a brace': (char) => (char === ']' ? '}' : undefined),
  'a quote is missing': (char) => (char === '"' ? '' : undefined),
  'a quote stands twice': (char) => (char === '"' ? '""' : undefined),
  'a quote is a typographic one': (char) => (char === '"' ? '“' : undefined),
  'a colon is missing': (char) => (char === ':' ? '' : undefined),
  'an equals sign is missing': (char) => (char === '=' ? '' : undefined),
  'a line ends with a semicolon': (char) => (char === '\n' ? ';\n' : undefined),
}

const sound = [...corpus('valid'), ...corpus('loaded')].filter(({ expected }) =>
  expected.every((one) => !Object.hasOwn(LOAD_DIAGNOSTICS, one.split(' ')[1] ?? '')),
)

async function errorsOf(text: string): Promise<ReadonlyMap<string, number>> {
  const { diagnostics } = await load(text, { check: true })
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  return new Map(errors.map(({ code, message, line }) => [`${code} ${message}`, line]))
}

/** How often a slip, anywhere in the sound files, is told once, more than once, and once but more than a line away. */
async function told(slip: (char: string) => string | undefined) {
  const counts = { once: 0, more: 0, far: 0 }
  for (const { text } of sound) {
    const before = await errorsOf(text)
    for (let at = 0; at < text.length; at++) {
      const put = slip(text[at]!)
      if (put === undefined) continue
      const errors = await errorsOf(text.slice(0, at) + put + text.slice(at + 1))
      const lines = [...errors].flatMap(([error, line]) => (before.has(error) ? [] : [line]))
      if (lines.length > 1) counts.more++
      if (lines.length !== 1) continue
      counts.once++
      if (Math.abs(lines[0]! - text.slice(0, at).split(/\r\n|\r|\n/).length) > 1) counts.far++
    }
  }
  return counts
}

test.each(Object.entries(SLIPS))(
  '[W65] where %s, one error tells it, and hardly ever a second one',
  async (name, slip) => {
    const { once, more, far } = await told(slip)
    expect(once).toBeGreaterThan(40)
    expect(more / (once + more)).toBeLessThan(0.07)
    // What is not closed shows where the next thing begins.
    if (!/missing|twice/.test(name) || /colon|quote|equals/.test(name)) expect(far / once).toBeLessThan(0.02)
  },
)
