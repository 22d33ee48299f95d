import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyOf, dataOf, folder, readAll, runChild, type Seen, seeded } from '../../../test/crash/sqlite-kit.ts'
import { isBusError } from '../../kit/errors.ts'
import { readMark } from './mark.ts'

const SEED = 20_261_121
const ROUNDS = 60
// A folder whose holder was killed: all of it lies in the WAL. And one that was closed: all of it lies in the database.
const crashed = folder()
const closed = folder()

beforeAll(async () => {
  expect(await runChild([crashed.file, String(ROUNDS), 'kill'])).toMatchObject({ acked: ROUNDS, signal: 'SIGKILL' })
  expect(await runChild([closed.file, String(ROUNDS), 'close'])).toMatchObject({ acked: ROUNDS, signal: null })
})
afterAll(() => {
  crashed[Symbol.dispose]()
  closed[Symbol.dispose]()
})

function flip(path: string, random: () => number): void {
  const bytes = readFileSync(path)
  const at = Math.floor(random() * bytes.length)
  bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8))
  writeFileSync(path, bytes)
}

/** Opens a file that was damaged. Every acknowledged entry must be there as it was, or be told of. */
function outcome(file: string): 'refused' | 'damage found' | 'intact' {
  let found: ReturnType<typeof readAll>
  try {
    found = readAll(file)
  } catch (error) {
    if (!isBusError(error)) throw error
    expect(['DATA_LOSS', 'STORE_FAILED', 'SCHEMA_TOO_NEW']).toContain(error.code)
    expect(error.message).toContain(file)
    return 'refused'
  }
  let bad = 0
  for (const [stream, each] of [
    ['c/a', 5],
    ['c/b', 2],
  ] as const) {
    const entries: ReadonlyMap<number, Seen> = found.seen.get(stream) ?? new Map<number, Seen>()
    for (let offset = 1; offset <= ROUNDS * each; offset++) {
      const seen = entries.get(offset)
      expect(seen, `${stream} ${offset} vanished without a word`).toBeDefined()
      if (seen === 'damaged' || seen === 'lost') bad++
      else expect(seen?.data).toEqual(dataOf(stream, offset))
    }
    expect(entries.size).toBe(ROUNDS * each)
  }
  // What a group has settled may be forgotten (then it is handled again), but never be more than it was.
  const [group] = found.state.groups
  expect(group?.position).toBeLessThanOrEqual((ROUNDS - 1) * 5 + 1)
  expect(group?.done).toEqual([])
  return bad > 0 ? 'damage found' : 'intact'
}

function tally(trials: number, spoil: () => ReturnType<typeof outcome>): Record<ReturnType<typeof outcome>, number> {
  const counts = { refused: 0, 'damage found': 0, intact: 0 }
  for (let trial = 0; trial < trials; trial++) counts[spoil()]++
  return counts
}

test('a flipped bit anywhere in the database is found, or harms nothing', () => {
  const random = seeded(SEED)
  const counts = tally(100, () => {
    using copy = copyOf(closed.path)
    flip(copy.file, random)
    return outcome(copy.file)
  })
  expect(counts['damage found']).toBeGreaterThan(10)
  expect(counts.refused + counts['damage found'] + counts.intact).toBe(100)
})

test('a flipped bit anywhere in the WAL is found, or harms nothing', () => {
  const random = seeded(SEED + 1)
  const counts = tally(100, () => {
    using copy = copyOf(crashed.path)
    flip(`${copy.file}-wal`, random)
    return outcome(copy.file)
  })
  // SQLite drops every commit behind the bit, and says nothing: only the mark tells.
  expect(counts.refused).toBeGreaterThan(60)
})

test('a flipped bit anywhere in the mark harms nothing, or the file is refused', () => {
  const random = seeded(SEED + 2)
  const counts = tally(30, () => {
    using copy = copyOf(crashed.path)
    flip(`${copy.file}-mark`, random)
    return outcome(copy.file)
  })
  expect(counts.intact).toBe(30)
})

test('a WAL that is cut anywhere is refused, and the losses are named', () => {
  const random = seeded(SEED + 3)
  const { size } = statSync(`${crashed.file}-wal`)
  const counts = tally(30, () => {
    using copy = copyOf(crashed.path)
    truncateSync(`${copy.file}-wal`, Math.floor(random() * size))
    return outcome(copy.file)
  })
  expect(counts.refused).toBe(30)
  using copy = copyOf(crashed.path)
  truncateSync(`${copy.file}-wal`, Math.floor(size * 0.6))
  expect(() => readAll(copy.file)).toThrow(/stream "c\/a": offsets \d+ to 300 were acknowledged/)
})

test('a database that is cut anywhere is found to be, or nothing was lost with its end', () => {
  const random = seeded(SEED + 4)
  const { size } = statSync(closed.file)
  const counts = tally(40, () => {
    using copy = copyOf(closed.path)
    truncateSync(copy.file, Math.floor(random() * size))
    return outcome(copy.file)
  })
  expect(counts.refused + counts['damage found']).toBe(40)
})

test('with acceptLoss the losses become a gap, offsets go on above it, and the next opening needs no consent', () => {
  using copy = copyOf(crashed.path)
  truncateSync(`${copy.file}-wal`, Math.floor(statSync(`${copy.file}-wal`).size * 0.6))
  const { state, seen } = readAll(copy.file, { acceptLoss: true })
  const stream = state.streams.find((one) => one.stream === 'c/a')
  const gap = stream?.gaps[0]
  expect(stream?.next).toBe(301)
  expect(gap).toMatchObject({ type: 'gap', stream: 'c/a', to: '300', reason: 'lost' })
  for (const [offset, entry] of seen.get('c/a') ?? []) {
    if (offset < Number(gap?.from)) expect(entry).toMatchObject({ data: dataOf('c/a', offset) })
    else expect(entry).toBe('lost')
  }
  expect(readAll(copy.file).state.streams).toEqual(state.streams)
})

test('a database that was removed is missed, and accepted as one gap', () => {
  using copy = copyOf(closed.path)
  rmSync(copy.file)
  expect(() => readAll(copy.file)).toThrow(/offsets 1 to 300 were acknowledged/)
  const { state } = readAll(copy.file, { acceptLoss: true })
  expect(state.streams).toMatchObject([
    { stream: 'c/a', first: 301, next: 301, gaps: [{ from: '1', to: '300', reason: 'lost' }] },
    { stream: 'c/b', first: 121, next: 121, gaps: [{ from: '1', to: '120', reason: 'lost' }] },
  ])
})

test('without the mark a file opens, and with both halves of the mark spoilt it does not', () => {
  using copy = copyOf(closed.path)
  rmSync(`${copy.file}-mark`)
  expect(readAll(copy.file).state.streams).toHaveLength(2)
  const mark = readFileSync(`${copy.file}-mark`)
  expect(readMark(`${copy.file}-mark`)).toEqual(
    new Map([
      ['c/a', 301],
      ['c/b', 121],
    ]),
  )
  writeFileSync(`${copy.file}-mark`, mark.fill(0))
  expect(() => readAll(copy.file)).toThrow(/damaged in both halves/)
})

test('damage in what is not yet settled is a gap right from the opening', () => {
  using copy = copyOf(closed.path)
  const bytes = readFileSync(copy.file)
  const at = bytes.lastIndexOf('c/a-300-')
  bytes[at] = (bytes[at] as number) ^ 1
  writeFileSync(copy.file, bytes)
  const { state, seen } = readAll(copy.file)
  expect(state.streams[0]?.gaps).toEqual([{ type: 'gap', stream: 'c/a', from: '300', to: '300', reason: 'damaged' }])
  expect(seen.get('c/a')?.get(300)).toBe('damaged')
  expect(seen.get('c/a')?.get(299)).toMatchObject({ data: dataOf('c/a', 299) })
})
