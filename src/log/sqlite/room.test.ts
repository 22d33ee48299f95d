import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { appendOf, folder, groupOf, readAll } from '../../../test/crash/sqlite-kit.ts'
import { inspectFile } from './integrity.ts'
import { sqliteStore } from './store.ts'

const probe = folder()
const small = join(probe.path, 'small')
const canMount = ((): boolean => {
  mkdirSync(small)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small], { stdio: 'ignore' })
    execFileSync('umount', [small])
    return true
  } catch {
    console.warn('SKIPPED: a full disk (no right to mount a small tmpfs)')
    return false
  }
})()
probe[Symbol.dispose]()

test.skipIf(!canMount)(
  'on a full disk appends are refused, settling goes on, and all goes on when there is room again',
  async () => {
    using temp = folder()
    const disk = join(temp.path, 'disk')
    mkdirSync(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk])
    try {
      const ballast = join(disk, 'ballast')
      writeFileSync(ballast, Buffer.alloc(1_048_576))
      const file = join(disk, 'log.db')
      await using store = sqliteStore(file, { reserveBytes: 262_144 })
      await store.load()
      let stored = 0
      let full: unknown
      while (full === undefined && stored < 10_000) {
        try {
          await store.commit([appendOf('c/a', 'x'.repeat(2_000)), appendOf('c/a', 'y'.repeat(2_000))])
          stored += 2
        } catch (error) {
          full = error
        }
      }
      expect(full).toMatchObject({ code: 'STORE_FULL' })
      for (let position = 2; position <= 201; position++) {
        await store.commit([groupOf('c/a', 'g', position, { begun: [position] })])
        await expect(store.commit([appendOf('c/a', 'z'.repeat(400_000))])).rejects.toMatchObject({ code: 'STORE_FULL' })
      }
      expect(await store.page('c/a', stored, 10)).toMatchObject([
        { offset: stored, message: { data: 'y'.repeat(2_000) } },
      ])
      rmSync(ballast)
      expect(await store.commit([appendOf('c/a', 'again')])).toMatchObject([{ offset: stored + 1, duplicate: false }])
      await store[Symbol.asyncDispose]()
      const { state, seen } = readAll(file)
      expect(state.groups).toMatchObject([{ group: 'g', position: 201 }])
      expect(seen.get('c/a')?.size).toBe(stored + 1)
      expect(await inspectFile(file)).toMatchObject({ ok: true, entries: stored + 1 })
    } finally {
      execFileSync('umount', [disk])
    }
  },
)

test.skipIf(!canMount)(
  'a disk of 4 MB has room for messages beside the reserve, and a full one can be opened',
  async () => {
    using temp = folder()
    const disk = join(temp.path, 'disk')
    mkdirSync(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk])
    try {
      const file = join(disk, 'log.db')
      let stored = 0
      {
        await using store = sqliteStore(file)
        await store.load()
        let full: unknown
        while (full === undefined) {
          try {
            await store.commit([appendOf('c/a', 'x'.repeat(2_000))])
            stored++
          } catch (error) {
            full = error
          }
        }
        expect(full).toMatchObject({ code: 'STORE_FULL' })
        // More than a third of the disk held messages.
        expect(stored).toBeGreaterThan(600)
        await store.commit([groupOf('c/a', 'g', 2)])
      }
      // Not a byte is left but what the reserve holds.
      for (let size = 1_048_576; size >= 1; size = Math.floor(size / 2)) {
        try {
          writeFileSync(join(disk, `ballast-${size}`), Buffer.alloc(size))
        } catch (error) {
          expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
        }
      }
      await using again = sqliteStore(file)
      const state = await again.load()
      expect(state.streams).toMatchObject([{ stream: 'c/a', first: 1, next: stored + 1 }])
      expect(state.groups).toMatchObject([{ group: 'g', position: 2 }])
    } finally {
      execFileSync('umount', ['-l', disk])
    }
  },
)

test('a file does not grow for ever when what is settled is trimmed', async () => {
  using temp = folder()
  await using store = sqliteStore(temp.file, { dedupLimit: 2_000 })
  await store.load()
  const sizes: number[] = []
  let next = 1
  for (let round = 1; round <= 24; round++) {
    for (let commit = 0; commit < 10; commit++) {
      next += (await store.commit(Array.from({ length: 200 }, () => appendOf('c/a', 'x'.repeat(300))))).length
    }
    await store.commit([groupOf('c/a', 'g', next), { type: 'trim', stream: 'c/a', before: next }])
    await swept(store)
    sizes.push(statSync(temp.file).size + statSync(`${temp.file}-wal`).size)
  }
  expect(next).toBe(48_001)
  // About 1 MB comes with each round and goes with it; without reuse the last would be 16 MB above the middle.
  expect(sizes[23] as number).toBeLessThan((sizes[11] as number) + 4_000_000)
  expect(sizes[23] as number).toBeLessThan(24_000_000)
})

/** Slices of the trimming run between questions: when the thread has answered a few, they are done. */
async function swept(store: ReturnType<typeof sqliteStore>): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await store.bytes('c/a')
}
