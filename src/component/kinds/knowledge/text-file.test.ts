import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { declare, folderWith, startKinds } from '../../../../test/support/kinds.ts'
import { bestPieces, piecesOf } from './search.ts'

test('[W73] a text is cut into pieces of 1,000 characters that share 200', () => {
  const text = Array.from({ length: 2_500 }, (_, i) => String(i % 10)).join('')
  const pieces = piecesOf('f', text)
  expect(pieces.map((one) => one.text.length)).toEqual([1_000, 1_000, 900])
  expect(pieces[0]?.text.slice(800)).toBe(pieces[1]?.text.slice(0, 200))
  expect(
    pieces
      .map((one) => one.text.slice(0, 800))
      .join('')
      .slice(0, 2_400),
  ).toBe(text.slice(0, 2_400))
  expect(piecesOf('f', '')).toEqual([])
})

test('[W73] pieces are found by their words, the rare ones first, with the name of the file', () => {
  const pieces = [
    { file: 'a', text: 'the cat and the dog' },
    { file: 'b', text: 'the dog and the zebra' },
    { file: 'c', text: 'the ship' },
  ]
  expect(bestPieces(pieces, 'dog zebra', 3).map((one) => one.file)).toEqual(['b', 'a'])
  expect(bestPieces(pieces, 'ZEBRA!', 1)).toEqual([pieces[1]])
  expect(bestPieces(pieces, 'nothing here', 3)).toEqual([])
})

test('[W73] a text file is read, written, added to and searched; n is 3', async () => {
  await using folder = await folderWith({ 'notes.txt': 'alpha one' })
  await using run = await startKinds(
    [declare('kb', 'knowledge_base text_file', { path: 'notes.txt' }), declare('mind', 'llm echo')],
    {
      folder: folder.path,
    },
  )
  const asks = run.swarm.component('mind')
  const ask = (action: string, inputs = {}) => asks.request('kb', { action, inputs })
  expect(await ask('query', { text: 'alpha' })).toEqual([{ file: 'notes.txt', text: 'alpha one' }])
  await ask('write', { text: 'beta two' })
  await ask('append', { text: 'gamma' })
  expect(await ask('read')).toBe('beta twogamma\n')
  expect(await readFile(join(folder.path, 'notes.txt'), 'utf8')).toBe('beta twogamma\n')
  expect(await asks.request('kb', 'gamma beta twogamma')).toHaveLength(1)
})

test('[W73] a folder gives its text files, and at most three pieces unless more are asked for', async () => {
  const files = Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [`${name}.md`, `sea and ${name}`]))
  await using folder = await folderWith({ ...files, 'picture.bin': 'sea\u0000sea' })
  await using run = await startKinds(
    [declare('kb', 'knowledge_base text_file', { path: '.', readonly: true }), declare('mind', 'llm echo')],
    {
      folder: folder.path,
    },
  )
  const asks = run.swarm.component('mind')
  expect(await asks.request('kb', { action: 'query', inputs: { text: 'sea' } })).toHaveLength(3)
  expect(await asks.request('kb', { action: 'query', inputs: { text: 'sea', n: 10 } })).toHaveLength(4)
  await expect(asks.request('kb', { action: 'write', inputs: { text: 'x' } })).rejects.toThrow('may only be read')
})
