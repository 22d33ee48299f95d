import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { KeyRule, KindDefinition } from '../kind.ts'
import { KINDS } from './all.ts'
import { defineKind } from './define.ts'
import { KIND_WORDS, kindOfWords } from './words.ts'

const doc = readFileSync(new URL('../../../docs/kinds.md', import.meta.url), 'utf8')

/** Agents with a model inside have the keys of both; they stand in a sentence. */
const tabled = KINDS.filter(({ kind }) => !/^agent (?!llm)/.test(kind))
const common = Object.keys(defineKind({ kind: 'x', role: 'other', summary: '', keys: {} }).keys)

function rowOf(key: string, rule: KeyRule): string {
  const must = rule.required === true ? 'required' : typeof rule.required === 'string' ? `or ${rule.required}` : ''
  const usual = rule.default === undefined || rule.default === '' ? must : `\`${rule.default}\``
  return `| \`${key}\` | ${rule.type} | ${usual} | ${rule.summary.replaceAll('|', '\\|')} |`
}

function sectionOf({ kind, also = [], role, summary, unavailable, keys }: KindDefinition): string {
  const names = also.length === 0 ? '' : ` Also: ${also.map((one) => `\`${one}\``).join(', ')}.`
  const rows = Object.entries(keys).filter(([key]) => !common.includes(key) && kind !== 'x')
  const table =
    rows.length === 0
      ? []
      : [
          '',
          '| key | type | default | meaning |',
          '| --- | --- | --- | --- |',
          ...rows.map(([key, rule]) => rowOf(key, rule)),
        ]
  const refused = unavailable === undefined ? [] : ['', `Refused at the start: ${unavailable}.`]
  return [`### ${kind}`, '', `Role ${role}: ${summary}.${names}`, ...refused, ...table].join('\n')
}

test('[W66] docs/kinds.md has every kind with its keys, and no other', () => {
  for (const kind of tabled) expect(doc, kind.kind).toContain(`${sectionOf(kind)}\n`)
  const headed = [...doc.matchAll(/^### (.+)$/gm)].map((match) => match[1])
  expect(headed).toEqual(tabled.map(({ kind }) => kind))
})

test('[W67] docs/kinds.md has every word that means something alone', () => {
  const meaning = (word: string): string => {
    const usual = kindOfWords([word], { name: 'x' })
    return 'kind' in usual ? `\`${usual.kind}\`` : 'by its role'
  }
  const rows = KIND_WORDS.map((word) => `| \`${word}\` | ${meaning(word)} |`)
  expect(doc).toContain(rows.join('\n'))
})
