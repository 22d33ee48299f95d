import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { copyOf, folder, readAll, runChild } from '../../../test/crash/sqlite-kit.ts'
import { inspectFile } from './integrity.ts'

test('a sound file is reported as such, closed or not, and nothing is changed by looking', async () => {
  using temp = folder()
  await runChild([temp.file, '40', 'kill'])
  const before = [readFileSync(temp.file), readFileSync(`${temp.file}-wal`), readFileSync(`${temp.file}-mark`)]
  const steps: number[] = []
  const report = await inspectFile(temp.file, { onProgress: (checked) => steps.push(checked) })
  expect(report).toMatchObject({ ok: true, clean: false, version: 1, entries: 280, findings: [], repairs: [] })
  expect(report.streams).toMatchObject([
    { stream: 'c/a', first: 1, next: 201, good: 200, groups: [{ group: 'g', position: 196, open: 1 }] },
    { stream: 'c/b', first: 1, next: 81, good: 80, groups: [] },
  ])
  expect(steps.at(-1)).toBe(280)
  expect([readFileSync(temp.file), readFileSync(`${temp.file}-wal`), readFileSync(`${temp.file}-mark`)]).toEqual(before)
  readAll(temp.file)
  expect(await inspectFile(temp.file)).toMatchObject({ ok: true, clean: true, entries: 280 })
})

test('losses are found with their offsets, and mended with consent', async () => {
  using temp = folder()
  await runChild([temp.file, '40', 'kill'])
  truncateSync(`${temp.file}-wal`, Math.floor(statSync(`${temp.file}-wal`).size * 0.7))
  const found = await inspectFile(temp.file)
  expect(found.ok).toBe(false)
  const lost = found.findings.find(({ stream }) => stream === 'c/a')
  expect(lost).toMatchObject({ type: 'missing', to: 200, known: false })
  using copy = copyOf(temp.path)
  const mended = await inspectFile(copy.file, { acceptLoss: true })
  expect(mended).toMatchObject({ ok: true, clean: false })
  expect(mended.repairs).toContain(`stream "c/a": offsets ${lost?.from} to 200 are a gap now`)
  expect(mended.findings).toContainEqual(
    expect.objectContaining({ stream: 'c/a', from: lost?.from, to: 200, known: true }),
  )
  const { state } = readAll(copy.file)
  expect(state.clean).toBe(false)
  expect(state.streams[0]).toMatchObject({ next: 201, gaps: [{ from: String(lost?.from), to: '200', reason: 'lost' }] })
})

test('a flipped bit in an entry is found, also far behind what groups have settled', async () => {
  using temp = folder()
  await runChild([temp.file, '40', 'close'])
  const bytes = readFileSync(temp.file)
  // Some of the places may be leftovers in free room: all are flipped.
  for (let at = bytes.indexOf('c/a-7-'); at >= 0; at = bytes.indexOf('c/a-7-', at + 6))
    bytes[at] = (bytes[at] as number) ^ 4
  writeFileSync(temp.file, bytes)
  const report = await inspectFile(temp.file)
  expect(report.findings).toEqual([
    {
      type: 'entry',
      text: 'stream "c/a": offsets 7 to 7 do not fit their checksums',
      stream: 'c/a',
      from: 7,
      to: 7,
      known: false,
    },
  ])
  expect(await inspectFile(temp.file, { acceptLoss: true })).toMatchObject({
    ok: true,
    repairs: [expect.stringContaining('7 to 7')],
  })
  expect(readAll(temp.file).seen.get('c/a')?.get(7)).toBe('damaged')
})

test('what is no log is refused', async () => {
  using temp = folder()
  await expect(inspectFile(temp.file)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  writeFileSync(temp.file, 'x'.repeat(5_000))
  await expect(inspectFile(temp.file)).rejects.toThrow(/is no SQLite database/)
})
