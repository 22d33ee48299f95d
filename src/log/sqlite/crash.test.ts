import { expect, test } from 'vitest'
import { dataOf, folder, type Ran, readAll, runChild, type Seen } from '../../../test/crash/sqlite-kit.ts'
import type { StoredState } from '../store.ts'

interface Found {
  readonly state: StoredState
  readonly seen: ReadonlyMap<string, ReadonlyMap<number, Seen>>
}

/** Everything that was acknowledged is there, and no commit by half. */
function expectWhole({ state, seen }: Found, { acked }: Ran): number {
  const kept = (seen.get('c/a')?.size ?? 0) / 5
  expect(Number.isInteger(kept)).toBe(true)
  expect(kept).toBeGreaterThanOrEqual(acked)
  expect(kept).toBeLessThanOrEqual(acked + 1)
  expect(seen.get('c/b')?.size ?? 0).toBe(kept * 2)
  for (const [stream, entries] of seen) {
    let expected = 1
    for (const [offset, entry] of entries) {
      expect(offset).toBe(expected++)
      expect(entry).toMatchObject({ data: dataOf(stream, offset) })
    }
  }
  const first = (kept - 1) * 5 + 1
  if (kept > 0) {
    expect(state.groups).toMatchObject([{ group: 'g', position: first, begun: [first], open: [{ offset: first }] }])
  }
  expect(state.streams.flatMap(({ gaps }) => gaps)).toEqual([])
  return kept
}

const POINTS = [
  'before-begin',
  'after-insert',
  'before-commit',
  'after-commit',
  'before-mark',
  'after-mark',
  'before-answer',
]

test.each(POINTS)('killed at %s, a process leaves all that was answered and nothing by half', async (point) => {
  using temp = folder()
  const ran = await runChild([temp.file, '50', 'close', `${point}:4`])
  expect(ran).toMatchObject({ signal: 'SIGKILL', acked: 3 })
  const found = readAll(temp.file)
  expect(found.state.clean).toBe(false)
  const stored = ['after-commit', 'before-mark', 'after-mark', 'before-answer'].includes(point)
  expect(expectWhole(found, ran)).toBe(stored ? 4 : 3)
  // The next process goes on where the first one stopped.
  const again = await runChild([temp.file, '8', 'close'])
  expect(again).toMatchObject({ signal: null, acked: 8 })
  expect(expectWhole(readAll(temp.file), again)).toBe(8)
})

test('killed at any moment, five times over, a process loses nothing that was answered', async () => {
  using temp = folder()
  let acked = 0
  for (let time = 1; time <= 5; time++) {
    const until = acked + 20 + time * 7
    const ran = await runChild([temp.file, '100000', 'close'], (line, kill) => {
      if (line === `acked ${until}`) kill()
    })
    expect(ran.signal).toBe('SIGKILL')
    expect(ran.acked).toBeGreaterThanOrEqual(until)
    acked = expectWhole(readAll(temp.file), ran)
  }
  expect(acked).toBeGreaterThan(100)
})
