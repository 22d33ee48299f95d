import type { Diagnostic } from './diagnostic.ts'

/** One row of the table of diagnostics. */
export interface DiagnosticRow {
  readonly severity: Diagnostic['severity']
  /** What is wrong, in general. */
  readonly text: string
  /** What to write instead. */
  readonly next: string
}

/** What reading a `.ww` file can find. Codes never change their meaning; docs/ww-language.md prints this table. */
export const DIAGNOSTICS = {
  expected: {
    severity: 'error',
    text: 'something stands where something else must stand',
    next: 'write what the message expects',
  },
  'free-text': {
    severity: 'error',
    text: 'text stands outside of every declaration',
    next: 'begin comments with `#`, and declarations with `name = kind {`',
  },
  'missing-value': {
    severity: 'error',
    text: 'a key has no value',
    next: 'write the value behind the `:` or `=`, or take the key away',
  },
  unclosed: {
    severity: 'error',
    text: 'a block or a list is not closed',
    next: 'close it where the message says',
  },
  'stray-bracket': {
    severity: 'error',
    text: 'a closing bracket closes nothing',
    next: 'take it away, or open what it is meant to close',
  },
  'unclosed-text': {
    severity: 'error',
    text: 'a text is not closed on its line',
    next: 'close it, or put three quotes around a text of several lines',
  },
  'bad-escape': {
    severity: 'error',
    text: 'an escape names no character',
    next: 'use `\\u{…}` with a code point up to 10FFFF',
  },
  'bad-variable': {
    severity: 'error',
    text: 'a `$` is not followed by the name of a variable and nothing else',
    next: `write \`$NAME\`, or \`"\${NAME}/more"\` for a text with a variable inside`,
  },
  'bad-number': {
    severity: 'error',
    text: 'a number is too large to be one',
    next: 'write a smaller number, or a text',
  },
  'merge-conflict': {
    severity: 'error',
    text: 'a merge has left a conflict behind',
    next: 'keep one of its sides',
  },
  'too-deep': {
    severity: 'error',
    text: 'blocks and lists are nested deeper than 100 levels',
    next: 'nest less',
  },
  'too-many': {
    severity: 'error',
    text: 'there are more than 100 errors; the rest is not shown',
    next: 'mend the first ones and look again',
  },
  'duplicate-key': {
    severity: 'error',
    text: 'a block has a key twice',
    next: 'keep one of the two; several values go into a list',
  },
  'duplicate-name': {
    severity: 'error',
    text: 'two declarations have the same name',
    next: 'give one of them another name',
  },
  'forbidden-name': {
    severity: 'error',
    text: 'a declaration is named like a value: true, false, null or None, in any case',
    next: 'give it another name',
  },
  'bare-text': {
    severity: 'warning',
    text: 'a word that is neither name nor number is read as a text; this will end',
    next: 'put it into quotes',
  },
  'bare-key': {
    severity: 'warning',
    text: 'a key that is no name is read as a text; this will end',
    next: 'put it into quotes',
  },
  'unknown-escape': {
    severity: 'warning',
    text: 'a backslash that begins no escape stays as it is',
    next: 'write `\\\\` for a backslash',
  },
  'path-escape': {
    severity: 'warning',
    text: 'an escape stands in what looks like a path of Windows',
    next: 'write `\\\\` for a backslash, or `/`',
  },
  'odd-variable': {
    severity: 'warning',
    text: `a \`\${\` that begins no \`\${NAME}\` stays as it is`,
    next: 'write `\\${` for the two characters',
  },
  'quoted-variable': {
    severity: 'warning',
    text: 'a text is the name of a variable, and stays as it is',
    next: 'write `$NAME` without quotes',
  },
  'inexact-number': {
    severity: 'warning',
    text: 'a whole number is too large to be exact',
    next: 'put it into quotes if every digit counts',
  },
  'colon-declaration': {
    severity: 'warning',
    text: 'a declaration is written with `:`',
    next: 'write `name = kind { … }`',
  },
} as const satisfies Record<string, DiagnosticRow>

/** A code of {@link DIAGNOSTICS}. */
export type DiagnosticCode = keyof typeof DIAGNOSTICS
