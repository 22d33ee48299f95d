import fc from 'fast-check'
import { expect, test } from 'vitest'
import { appendOf, folder, groupOf, messageOf } from '../../../test/crash/sqlite-kit.ts'
import { systemEnv } from '../../kit/env.ts'
import { isBusError } from '../../kit/errors.ts'
import type { StoreOp } from '../store.ts'
import { slowText, textOf } from './encode.ts'
import { sqliteStore } from './store.ts'

async function opened(file: string, options: Parameters<typeof sqliteStore>[1] = {}) {
  const store = sqliteStore(file, options)
  const state = await store.load()
  return Object.assign(Object.create(store) as typeof store, { state })
}

test('what was committed is read back with its data, note and times, also after closing', async () => {
  using temp = folder()
  const odd = {
    when: new Date(5),
    bytes: Uint8Array.of(1, 2, 255),
    map: new Map([['a', 1n]]),
    set: new Set([Number.NaN]),
  }
  {
    await using store = await opened(temp.file)
    const answers = await store.commit([
      appendOf('c/a', { plain: 1 }, { storedAt: 100 }),
      appendOf('c/a', odd, { storedAt: 200, dueAt: 5_000, note: 'née' }),
      appendOf('c/b', undefined, { storedAt: 300, note: '' }),
    ])
    expect(answers.map(({ stream, offset, duplicate }) => [stream, offset, duplicate])).toEqual([
      ['c/a', 1, false],
      ['c/a', 2, false],
      ['c/b', 1, false],
    ])
  }
  await using store = await opened(temp.file)
  expect(store.state.clean).toBe(true)
  const page = await store.page('c/a', 1, 10)
  expect(page).toMatchObject([
    { type: 'stored', offset: 1, storedAt: 100, dueAt: undefined, note: undefined, message: { data: { plain: 1 } } },
    { type: 'stored', offset: 2, storedAt: 200, dueAt: 5_000, note: 'née' },
  ])
  expect(page[1]).toHaveProperty('message.data', odd)
  expect(await store.page('c/b', 1, 10)).toMatchObject([{ note: '', message: { data: undefined } }])
  expect(await store.page('none', 1, 10)).toEqual([])
})

test('a repeat of a key is stored once: in one commit, in a later one, in another part of the channel, after closing', async () => {
  using temp = folder()
  const message = messageOf('once')
  const op = appendOf('c/a', 0, { message, key: message.id })
  {
    await using store = await opened(temp.file)
    const answers = await store.commit([op, op, appendOf('c/a', 'text key', { key: 'invoice 7' })])
    expect(answers.map(({ offset, duplicate }) => [offset, duplicate])).toEqual([
      [1, false],
      [1, true],
      [2, false],
    ])
    expect(await store.commit([{ ...op, stream: 'c/b' }])).toMatchObject([
      { stream: 'c/a', offset: 1, id: message.id, duplicate: true },
    ])
    expect(await store.commit([{ ...op, stream: 'other/a' }])).toMatchObject([{ stream: 'other/a', duplicate: false }])
    expect(await store.commit([{ ...op, key: undefined }])).toMatchObject([{ offset: 3, duplicate: false }])
  }
  await using store = await opened(temp.file)
  const again = await store.commit([op, appendOf('c/a', 0, { key: 'invoice 7' })])
  expect(again.map(({ offset, duplicate }) => [offset, duplicate])).toEqual([
    [1, true],
    [2, true],
  ])
  expect(await store.find('c', message.id)).toEqual({ stream: 'c/a', offset: 1 })
  expect(await store.find('c', 'invoice 7')).toEqual({ stream: 'c/a', offset: 2 })
  expect(await store.find('c', 'invoice 8')).toBeUndefined()
  expect(await store.find('nowhere', message.id)).toBeUndefined()
})

test('keys in any order are each stored once, and forgotten behind the window and above the limit', async () => {
  using temp = folder()
  await using store = await opened(temp.file, { dedupMs: 1_000, dedupLimit: 300 })
  const ops = Array.from({ length: 200 }, (_, at) => appendOf('c/a', at, { storedAt: 1_000 }))
  const mixed = [...ops].reverse().flatMap((op, at) => [op, ops[(at * 7) % 200] as typeof op])
  const answers = await store.commit(mixed)
  expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(200)
  expect((await store.commit(ops)).every(({ duplicate }) => duplicate)).toBe(true)
  // At the window's end they count as new, once.
  const late = ops.map((op) => ({ ...op, storedAt: 2_000 }))
  expect((await store.commit(late)).some(({ duplicate }) => duplicate)).toBe(false)
  expect((await store.commit(late)).every(({ duplicate }) => duplicate)).toBe(true)
  for (let round = 0; round < 8; round++) {
    await store.commit(Array.from({ length: 100 }, (_, at) => appendOf('c/a', at, { storedAt: 2_000 })))
  }
  expect((await store.commit(late)).some(({ duplicate }) => duplicate)).toBe(false)
})

test('a copy has the bytes of its source, its own offset and note', async () => {
  using temp = folder()
  await using store = await opened(temp.file)
  const [first] = await store.commit([appendOf('c/a', { deep: new Date(7) })])
  const copy: StoreOp = {
    type: 'append',
    stream: 'c/dead',
    message: { stream: 'c/a', offset: 1 },
    key: undefined,
    storedAt: 9,
    dueAt: undefined,
    note: 'why',
  }
  expect(await store.commit([copy, copy])).toMatchObject([
    { stream: 'c/dead', offset: 1, id: first?.id, duplicate: false, bytes: (first?.bytes ?? 0) + 3 },
    { stream: 'c/dead', offset: 2 },
  ])
  expect(await store.page('c/dead', 2, 1)).toMatchObject([
    { note: 'why', storedAt: 9, message: { id: first?.id, data: { deep: new Date(7) } } },
  ])
  const missing = store.commit([appendOf('c/a', 1), { ...copy, message: { stream: 'c/a', offset: 99 } }])
  await expect(missing).rejects.toMatchObject({ code: 'STORE_FAILED' })
  expect(await store.page('c/a', 1, 10)).toHaveLength(1)
  expect(await store.commit([appendOf('c/a', 2)])).toMatchObject([{ offset: 2 }])
})

test('what a group has settled is there after closing, and gone after it left', async () => {
  using temp = folder()
  const open = { offset: 2, attempts: 3, dueAt: 77, delayMs: 50, held: true, note: 'try' }
  {
    await using store = await opened(temp.file)
    await store.commit([groupOf('c/a', 'early', 1)])
    await store.commit(Array.from({ length: 9 }, (_, at) => appendOf('c/a', at)))
    await store.commit([
      groupOf('c/a', 'g', 4, { done: [6, 8, 3], open: [open, { ...open, offset: 3, note: undefined }], begun: [7] }),
    ])
    await store.commit([groupOf('c/a', 'g', 7, { done: [8], closed: [3, 99] }), groupOf('c/a', 'gone', 1)])
    await store.commit([{ type: 'leave', stream: 'c/a', group: 'gone' }])
  }
  await using store = await opened(temp.file)
  expect(store.state.streams).toMatchObject([{ stream: 'c/a', first: 1, next: 10 }])
  expect(store.state.groups).toEqual([
    { ...pick(groupOf('c/a', 'early', 1)), open: [] },
    { ...pick(groupOf('c/a', 'g', 7)), done: [8], open: [open] },
  ])
})

function pick({ type: _type, closed: _closed, ...stored }: ReturnType<typeof groupOf>) {
  return stored
}

test('a trimmed stream begins later, and its bytes, times and expiries are found', async () => {
  using temp = folder()
  await using store = await opened(temp.file)
  const answers = await store.commit(
    Array.from({ length: 100 }, (_, at) => {
      const message = messageOf('x'.repeat(at), at % 10 === 0 ? { expiresAt: 1_000 + at } : {})
      return appendOf('c/a', 0, { message, key: message.id, storedAt: 1_000 + at * 10 })
    }),
  )
  const sizes = answers.map(({ bytes }) => bytes)
  const sum = (from: number): number => sizes.slice(from - 1).reduce((all, one) => all + one, 0)
  expect(await store.bytes('c/a')).toBe(sum(1))
  expect(await store.since('c/a', 1_500)).toBe(51)
  expect(await store.since('c/a', 1_501)).toBe(52)
  expect(await store.since('c/a', 9_999)).toBe(101)
  expect(await store.newest('c/a', sum(40))).toBe(40)
  expect(await store.newest('c/a', sum(40) - 1)).toBe(41)
  expect(await store.newest('c/a', 0)).toBe(101)
  expect(await store.expired('c/a', 5, 1_050, 10)).toEqual([11, 21, 31, 41, 51])
  await store.commit([{ type: 'trim', stream: 'c/a', before: 31 }])
  expect(await store.bytes('c/a')).toBe(sum(31))
  expect(await store.newest('c/a', sum(1))).toBe(31)
  expect(await store.expired('c/a', 1, 1_050, 2)).toEqual([31, 41])
  expect((await store.page('c/a', 31, 1_000)).map(({ offset }) => offset)).toEqual(
    Array.from({ length: 70 }, (_, at) => at + 31),
  )
  await store.commit([{ type: 'trim', stream: 'c/a', before: 1_000 }])
  expect(await store.bytes('c/a')).toBe(0)
  expect(await store.commit([appendOf('c/a', 1)])).toMatchObject([{ offset: 101 }])
})

test('a page is bounded in bytes, and a page of many leaves the event loop free', async () => {
  using temp = folder()
  await using store = await opened(temp.file)
  await store.commit(Array.from({ length: 6 }, (_, at) => appendOf('c/big', `${at}`.repeat(200_000))))
  expect((await store.page('c/big', 1, 100)).map(({ offset }) => offset)).toEqual([1, 2])
  const many = Array.from({ length: 20_000 }, (_, at) => appendOf('c/a', { at, text: 'some text of some length' }))
  let turns = 0
  const count = setInterval(() => turns++, 0)
  await store.commit(many)
  clearInterval(count)
  expect(turns).toBeGreaterThan(2)
  let next = 1
  while (next <= 20_000) {
    for (const entry of await store.page('c/a', next, 5_000)) {
      expect(entry).toMatchObject({ offset: next, message: { data: { at: next - 1 } } })
      next++
    }
  }
})

test('a message that can never be stored is refused by check and by commit, and the next one is stored', async () => {
  using temp = folder()
  await using store = await opened(temp.file, { maxBytes: 1_000 })
  const large = appendOf('c/a', 'é'.repeat(600))
  expect(() => store.check(large.message as never)).toThrow(/1\d\d\d bytes as JSON; allowed: 1000/)
  await expect(store.commit([appendOf('c/a', 1), large])).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  expect(() => store.check(messageOf({ run: () => 1 }))).toThrow(/"data.run" is a function/)
  expect(await store.commit([appendOf('c/a', 2)])).toMatchObject([{ offset: 1 }])
})

test('before load, after closing, and for wrong options, a store says so', async () => {
  using temp = folder()
  const store = sqliteStore(temp.file)
  await expect(store.page('c/a', 1, 1)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  await store.load()
  await expect(store.load()).rejects.toMatchObject({ code: 'STORE_FAILED' })
  const last = store.commit([appendOf('c/a', 1)])
  await store[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  expect(await last).toMatchObject([{ offset: 1 }])
  await expect(store.page('c/a', 1, 1)).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  expect(() => sqliteStore('')).toThrow(/INVALID|"file"/)
  expect(() => sqliteStore(temp.file, { dedupMs: 0 })).toThrow(/dedupMs/)
  expect(sqliteStore(temp.file, { synchronous: 'NORMAL' }).level).toBe('process')
})

test('the fast text of a message is the text of the codec, for any data', () => {
  const env = systemEnv()
  const odd = fc.constantFrom<unknown>(
    undefined,
    -0,
    Number.NaN,
    5n,
    new Date(3),
    Uint8Array.of(9),
    '\ud800',
    new Map([[1, 2]]),
  )
  const data = fc.oneof(
    fc.anything({ maxDepth: 3, withNullPrototype: true }),
    fc.dictionary(fc.string(), odd),
    fc.array(odd),
  )
  const text = (write: () => string): string => {
    try {
      return write()
    } catch (error) {
      if (!isBusError(error)) throw error
      return error.code
    }
  }
  fc.assert(
    fc.property(
      data,
      fc.dictionary(fc.string({ minLength: 1 }), fc.string()),
      fc.string({ minLength: 1 }),
      (value, headers, from) => {
        const message = { ...messageOf(null), data: value, headers, from, expiresAt: env.wallMs(), hops: 2 }
        expect(text(() => textOf(message))).toBe(text(() => slowText(message)))
      },
    ),
  )
})
