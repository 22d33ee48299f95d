import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from '../../src/config/parser.ts'
import { createSource } from '../../src/config/source.ts'
import { corpus } from './corpus.ts'
import { includesOf, patternsOf, scopesOf, type TextMateGrammar } from './textmate.ts'

const folder = new URL('../../editors/vscode/', import.meta.url)
const json = (path: string) => JSON.parse(readFileSync(new URL(path, folder), 'utf8'))
const grammar: TextMateGrammar = json('syntaxes/ww.tmLanguage.json')

/** The scopes of a text, without its blanks: `text scope`. */
function scopes(text: string): readonly string[] {
  return scopesOf(grammar, text)
    .filter((piece) => piece.text.trim() !== '')
    .map((piece) => `${piece.text} ${(piece.scope ?? 'none').replace(/\.ww$/, '')}`)
}

test('every file that the extension names is there, and every rule that its grammar names', () => {
  const { contributes } = json('package.json')
  for (const { configuration } of contributes.languages) expect(existsSync(new URL(configuration, folder))).toBe(true)
  for (const { path } of contributes.grammars) expect(json(path).scopeName).toBe(contributes.grammars[0].scopeName)
  expect(contributes.languages[0].extensions).toEqual(['.ww'])
  expect(json('language-configuration.json').comments.lineComment).toBe('#')
  expect([...new Set(includesOf(grammar))].sort()).toEqual(Object.keys(grammar.repository).sort())
})

test('every regular expression of the extension compiles', () => {
  const { wordPattern, indentationRules } = json('language-configuration.json')
  const patterns = [...patternsOf(grammar), wordPattern, ...Object.values<string>(indentationRules)]
  expect(patterns.length).toBeGreaterThan(20)
  for (const pattern of patterns) expect(() => new RegExp(pattern, 'dg')).not.toThrow()
})

test('names, kinds, keys, texts, variables, numbers, flags, references and comments have scopes of their own', () => {
  expect(
    scopes(`# note
include "b.ww"
agent-1 = agent llm { # opens
  model: "gpt \${TAG}\\n" # why
  key = $API_KEY
  list: [tool_a, 'it\\'s', 5, -0.5, True, ./x.py]
  "6379": redis { n: 1e3 }
}`),
  ).toEqual([
    '# note comment.line.number-sign',
    'include keyword.control.include',
    '" string.quoted.double',
    'b.ww" string.quoted.double',
    'agent-1 entity.name.type.component',
    '= keyword.operator.assignment',
    'agent storage.type.kind',
    'llm storage.type.kind',
    '{ punctuation',
    '# opens comment.line.number-sign',
    'model variable.other.property',
    ': keyword.operator.assignment',
    '" string.quoted.double',
    'gpt  string.quoted.double',
    '${TAG} variable.other.environment',
    '\\n constant.character.escape',
    '" string.quoted.double',
    '# why comment.line.number-sign',
    'key variable.other.property',
    '= keyword.operator.assignment',
    '$API_KEY variable.other.environment',
    'list variable.other.property',
    ': keyword.operator.assignment',
    '[ punctuation',
    'tool_a variable.other.readwrite',
    ', punctuation',
    "' string.quoted.single",
    'it string.quoted.single',
    "\\' constant.character.escape",
    "s' string.quoted.single",
    ', punctuation',
    '5 constant.numeric',
    ', punctuation',
    '-0.5 constant.numeric',
    ', punctuation',
    'True constant.language',
    ', punctuation',
    './x.py string.unquoted',
    '] punctuation',
    '"6379" string.quoted.key',
    ': keyword.operator.assignment',
    'redis storage.type.kind',
    '{ punctuation',
    'n variable.other.property',
    ': keyword.operator.assignment',
    '1e3 constant.numeric',
    '} punctuation',
    '} punctuation',
  ])
})

test('braces and # in texts are text, also over several lines, and an unclosed text ends with its line', () => {
  expect(scopes('a: """\n{ # x }\n"""\nb: "c\nd: 1')).toEqual([
    'a variable.other.property',
    ': keyword.operator.assignment',
    '""" string.quoted.triple',
    '{ # x } string.quoted.triple',
    '""" string.quoted.triple',
    'b variable.other.property',
    ': keyword.operator.assignment',
    '" string.quoted.double',
    'c string.quoted.double',
    'd variable.other.property',
    ': keyword.operator.assignment',
    '1 constant.numeric',
  ])
})

test('of every valid file of the corpus the comments that the parser finds are those that are coloured as comments', () => {
  for (const { path, text } of [...corpus('valid'), ...corpus('loaded')]) {
    if (text.includes('\r')) continue
    const coloured = scopesOf(grammar, text.replace('\ufeff', ''))
      .filter(({ scope }) => scope === 'comment.line.number-sign.ww')
      .map((piece) => piece.text)
    const { file } = parse(createSource(path, text))
    expect(coloured, path).toEqual(file.comments.map((comment) => `#${comment.text}`))
  }
})
