import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Gap, isBusError, openBus } from '../../src/index.ts'
import type { Event } from './events.ts'
import { planned } from './plan.ts'
import { place, randomFrom, range, run, start } from './run.ts'

// Bytes of the files change while nobody has them open. What is read afterwards is the truth, or a hole that is said, or a refusal.

const LIMIT_MS = 180_000
const ALL = range(1, 200)
/** More than anybody publishes before it is killed. */
const ENDLESS = range(1, 20_000)

type Outcome = 'intact' | 'gap' | 'refused' | 'unreadable'

interface Read {
  readonly numbers: readonly number[]
  readonly gaps: readonly Gap[]
}

async function readAll(file: string, acceptLoss: boolean): Promise<Read> {
  await using bus = await openBus(`sqlite:${file}`, { acceptLoss })
  const numbers: number[] = []
  const gaps: Gap[] = []
  const onGap = (gap: Gap): void => void gaps.push(gap)
  for await (const { data, id, topic } of bus.replay('work.>', { onGap })) {
    const { n } = data as { readonly n: number }
    const { data: expected, ...fields } = planned(n)
    // I2: byte for byte, whatever happened to the file.
    expect(data).toEqual(expected)
    expect({ id, topic }).toMatchObject({ id: fields.id, topic: fields.topic })
    numbers.push(n)
  }
  expect(new Set(numbers).size).toBe(numbers.length)
  return { numbers, gaps }
}

/** Entries that gaps speak for. */
const lackOf = (gaps: readonly Gap[]): number =>
  gaps.reduce((sum, { from, to }) => sum + Number(to) - Number(from) + 1, 0)

/** What comes of a damaged file. Whatever it is, nothing is missing without a word. */
async function outcomeOf(file: string, acked: readonly number[]): Promise<Outcome> {
  const whole = ({ numbers, gaps }: Read): Outcome => {
    const there = new Set(numbers)
    const lost = acked.filter((n) => !there.has(n))
    if (lost.length > 0) expect(lackOf(gaps), `lost without a word: ${lost.join()}`).toBeGreaterThanOrEqual(lost.length)
    return lost.length === 0 && gaps.length === 0 ? 'intact' : 'gap'
  }
  try {
    return whole(await readAll(file, false))
  } catch (error) {
    if (isBusError(error, 'DATA_LOSS')) {
      // A person decides: then what is left is served, and the holes are said.
      whole(await readAll(file, true))
      return 'refused'
    }
    // The pages that hold everything together are broken: that is said, and nothing is served as if it were whole.
    expect(isBusError(error, 'STORE_FAILED'), String(error)).toBe(true)
    return 'unreadable'
  }
}

const SUFFIXES = ['', '-wal', '-mark'] as const

function copy(from: string, to: string): void {
  for (const suffix of SUFFIXES) if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix)
}

const ackedOf = (said: readonly Event[]): number[] => said.flatMap((one) => (one.type === 'ack' ? [one.n] : []))

describe.concurrent('files that were damaged', () => {
  test.each(['', '-wal'] as const)(
    '[I16] [I1] [I2] one bit flipped anywhere in FILE%s: the data is intact, or a gap says what is missing, or it is refused',
    { timeout: LIMIT_MS },
    async (suffix) => {
      using at = place()
      // Killed, a file keeps its WAL; closed, it has everything in the database.
      await using child = start({
        ...{ file: at.file, pipeline: 3 },
        ...(suffix === '' ? { publish: ALL, groups: ['a'] } : { publish: ENDLESS, groups: [] }),
      })
      if (suffix === '-wal') await child.until((said) => ackedOf(said).length >= 150)
      if (suffix === '-wal') child.process.kill('SIGKILL')
      await child.ended
      const acked = ackedOf(child.said)
      const random = randomFrom(suffix === '' ? 11 : 12)
      const seen: Record<Outcome, number> = { intact: 0, gap: 0, refused: 0, unreadable: 0 }
      for (let round = 0; round < (suffix === '' ? 30 : 12); round++) {
        using copied = place()
        copy(at.file, copied.file)
        const bytes = readFileSync(copied.file + suffix)
        const offset = random(bytes.length)
        bytes[offset] = (bytes[offset] as number) ^ (1 << random(8))
        writeFileSync(copied.file + suffix, bytes)
        seen[await outcomeOf(copied.file, acked)]++
      }
      // A run in which nothing was noticed has tested nothing.
      expect(seen.gap + seen.refused + seen.unreadable, JSON.stringify(seen)).toBeGreaterThan(2)
      // A WAL holds nothing that was not acknowledged, and behind a broken frame nothing counts.
      if (suffix === '-wal') expect(seen).toMatchObject({ gap: 0, unreadable: 0 })
    },
  )

  test('[I16] [I1] a WAL cut anywhere: what was acknowledged and is gone is never passed over in silence', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    await using child = start({ file: at.file, publish: ENDLESS, groups: [], pipeline: 3 })
    await child.until((said) => ackedOf(said).length >= 150)
    child.process.kill('SIGKILL')
    await child.ended
    const acked = ackedOf(child.said)
    const bytes = statSync(`${at.file}-wal`).size
    const random = randomFrom(13)
    const seen: Record<Outcome, number> = { intact: 0, gap: 0, refused: 0, unreadable: 0 }
    for (let round = 0; round < 12; round++) {
      using copied = place()
      copy(at.file, copied.file)
      // Most cuts lie near the end, where a write was torn.
      truncateSync(`${copied.file}-wal`, round % 2 === 0 ? random(bytes) : bytes - random(5_000))
      seen[await outcomeOf(copied.file, acked)]++
    }
    expect(seen.refused, JSON.stringify(seen)).toBeGreaterThan(2)
    expect(seen.unreadable, JSON.stringify(seen)).toBe(0)
  })

  test('[I16] [I1] a tail torn in the middle of an unanswered write is cut off without a word, and the next process goes on', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    const { file } = at
    const first = await run({ file, publish: ALL, groups: [], failAt: 'before-commit:40' })
    expect(first.how).toBe('SIGKILL')
    // As after a power cut: half of a frame that nobody was told of lies behind the last commit.
    const wal = `${file}-wal`
    writeFileSync(wal, Buffer.concat([readFileSync(wal), Buffer.alloc(2_000, 0xa5)]))
    const acked = ackedOf(first.said)
    expect(await outcomeOf(file, acked)).toBe('intact')
    const second = await run({ file, publish: ALL.filter((n) => !acked.includes(n)), groups: ['a'] })
    expect(second).toMatchObject({ how: 0, errors: '' })
    expect((await readAll(file, false)).numbers.toSorted((a, b) => a - b)).toEqual(ALL)
  })
})
