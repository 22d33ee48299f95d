import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cli, damage, filled, jsonLines } from '../../test/cli/support.ts'

function three(): Promise<string> {
  return filled(async (bus) => {
    for (const data of ['before', 'the damaged one', 'behind']) await bus.publish('a', data)
  })
}

test('doctor says that a file is sound, and changes nothing', async () => {
  const file = await three()
  const before = readFileSync(file)
  const { code, out, err } = await cli(['doctor', file])
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/swarm\.db: sound\n3 entries in 1 stream, \d+ B; closed in order\n$/)
  expect(readFileSync(file).equals(before)).toBe(true)
  expect(JSON.parse((await cli(['doctor', `sqlite:${file}`, '--json'])).out)).toMatchObject({ ok: true, entries: 3 })
})

test('doctor finds flipped bytes, says what to do, and --accept-loss turns them into a known gap', async () => {
  const file = await three()
  damage(file, 'the damaged one')
  const found = await cli(['doctor', file])
  expect(found.code).toBe(4)
  expect(found.out).toContain('damaged: 1 finding')
  expect(found.out).toContain('stream "a/normal": offsets 2 to 2 do not fit their checksums')
  expect(found.out).toContain('--accept-loss')
  const json = await cli(['doctor', file, '--json'])
  expect([json.code, JSON.parse(json.out)]).toMatchObject([
    4,
    { ok: false, findings: [{ type: 'entry', from: 2, to: 2 }] },
  ])
  const mended = await cli(['doctor', file, '--accept-loss'])
  expect(mended.code).toBe(0)
  expect(mended.out).toContain('known')
  const again = await cli(['doctor', file])
  expect([again.code, again.out.includes('known')]).toEqual([0, true])
  const { out } = await cli(['replay', 'a', '--json', '--file', file])
  expect(jsonLines(out).map(({ offset }) => offset)).toEqual(['a/normal:1', 'a/normal:3'])
})

test('a file that lacks what was acknowledged is not opened, and both say so with 4', async () => {
  const file = await three()
  const fresh = await filled((bus) => bus.publish('a', 'only'))
  // An older copy in its place: the mark beside it knows better.
  writeFileSync(file, readFileSync(fresh))
  for (const name of ['-wal', '-shm']) rmSync(`${file}${name}`, { force: true })
  const opened = await cli(['replay', 'a', '--file', file])
  expect(opened.code).toBe(4)
  expect(opened.err).toContain('were acknowledged and are not there')
  expect(opened.err).toContain('--accept-loss')
  expect((await cli(['doctor', file])).code).toBe(4)
  expect((await cli(['doctor', file, '--accept-loss'])).out).toContain('mended')
  expect((await cli(['replay', 'a', '--file', file])).out).toContain('only')
})

test('a file that was cut is damage too, never a stack', async () => {
  const file = await three()
  truncateSync(file, 8_192)
  for (const argv of [
    ['doctor', file],
    ['stats', '--file', file],
  ]) {
    const { code, out, err } = await cli(argv)
    expect(code).toBe(4)
    expect(`${out}${err}`).toMatch(/damage/)
    expect(`${out}${err}`).not.toContain('    at ')
  }
})

test('doctor shows how far it is on a terminal only', async () => {
  const file = await filled(async (bus) => {
    await Promise.all(Array.from({ length: 3_000 }, (_, n) => bus.publish('a', n)))
  })
  const shown = await cli(['doctor', file], { terminal: 80 })
  expect(shown.err).toMatch(/\r.*\d+ of 3000 entries checked \(\d+ %\)/)
  expect(shown.err.endsWith('\r\x1b[K')).toBe(true)
  expect((await cli(['doctor', file])).err).toBe('')
})
