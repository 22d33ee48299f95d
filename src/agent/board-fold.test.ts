import { expect, test } from 'vitest'
import type { Entry, Gap } from '../log/log.ts'
import { messageMaker } from '../message/make.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { type BoardChange, BoardFold } from './board-fold.ts'
import type { BoardRecord } from './board-record.ts'

const STREAM = 'blackboard/board'
const maker = messageMaker(fakeEnv())

function entry(offset: number, record: BoardRecord): Entry {
  const message = maker.make(`blackboard.${record.op}`, record)
  return { type: 'entry', stream: STREAM, offset: `${offset}`, message, storedAt: offset, note: undefined }
}

function write(offset: number, key: string, value: unknown): Entry {
  return entry(offset, { op: 'write', key, json: JSON.stringify(value), mostKeys: 10, evicts: false })
}

const trimmed: Gap = { type: 'gap', stream: STREAM, from: '1', to: '9', reason: 'trimmed' }
const row = (key: string, value: unknown, version: number) => ({ key, json: JSON.stringify(value), version, time: 1 })

function made(): { readonly fold: BoardFold; readonly changes: string[] } {
  const changes: string[] = []
  const changed = ({ type, key, version, before }: BoardChange): void => {
    changes.push(`${type} ${key} ${before}→${version}`)
  }
  return { fold: new BoardFold({ decided: () => undefined, snapshot: () => undefined, changed }), changes }
}

const valuesOf = (fold: BoardFold): unknown[] => [...fold.rows()].map((one) => [one.entry.key, one.entry.value])

test('whoever comes out of a hole is told what became of the board in it, and goes on from there', () => {
  const { fold, changes } = made()
  for (const [index, key] of ['stays', 'goes', 'turns'].entries()) fold.read(write(index + 1, key, 0))
  changes.length = 0
  fold.read(trimmed)
  fold.read(write(10, 'seen', 1))
  fold.read(entry(11, { op: 'keep', of: 's', rows: [row('stays', 0, 1), row('turns', 7, 8)] }))
  fold.read(write(12, 'later', 2))
  fold.read(entry(13, { op: 'keep', of: 's', rows: [row('seen', 1, 9)] }))
  expect([fold.isLost, changes]).toEqual([true, []])
  fold.read(entry(14, { op: 'snapshot', of: 's', upTo: '10', version: 9, count: 3 }))
  expect(fold.isLost).toBe(false)
  expect(changes).toEqual(['written turns 3→8', 'written seen 0→9', 'deleted goes 2→9', 'written later 0→10'])
  expect(valuesOf(fold)).toEqual([
    ['stays', 0],
    ['turns', 7],
    ['seen', 1],
    ['later', 2],
  ])
})

test('a snapshot that lacks a part, or was taken before the end of the hole, is not believed', () => {
  const { fold } = made()
  fold.read(trimmed)
  fold.read(write(10, 'a', 1))
  fold.read(entry(11, { op: 'snapshot', of: 'lacks', upTo: '10', version: 5, count: 1 }))
  fold.read(entry(12, { op: 'keep', of: 'old', rows: [row('b', 1, 1)] }))
  fold.read(entry(13, { op: 'snapshot', of: 'old', upTo: '9', version: 1, count: 1 }))
  expect(fold.isLost).toBe(true)
  fold.read(entry(14, { op: 'snapshot', of: 'empty', upTo: '11', version: 6, count: 0 }))
  expect([fold.isLost, fold.version, valuesOf(fold)]).toEqual([false, 6, []])
})

test('a later hole begins the search for a snapshot anew', () => {
  const { fold } = made()
  fold.read(trimmed)
  fold.read(write(10, 'a', 1))
  fold.read({ ...trimmed, from: '11', to: '19' })
  fold.read(entry(20, { op: 'snapshot', of: 's', upTo: '10', version: 1, count: 0 }))
  expect(fold.isLost).toBe(true)
})

test('what no blackboard wrote changes nothing', () => {
  const { fold, changes } = made()
  fold.read(entry(1, 'text' as never))
  fold.read(entry(2, { op: 'other' } as never))
  expect([changes, fold.version, fold.last]).toEqual([[], 0, '2'])
})
