import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isStale, withLock } from './lock.mjs'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmbus-lock-'))
  path = join(folder, 'lock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const here = { pid: 10, host: 'a', silentMs: 0 }
const alive = { ...here, isAlive: () => true }
const dead = { ...here, isAlive: () => false }

test('a lock is stale when its owner is dead, is this process, or has been silent', () => {
  expect(isStale({ pid: 11, host: 'a' }, alive)).toBe(false)
  expect(isStale({ pid: 11, host: 'a' }, dead)).toBe(true)
  expect(isStale({ pid: 10, host: 'a' }, alive)).toBe(true)
  expect(isStale({ pid: 11, host: 'a' }, { ...alive, silentMs: 31_000 })).toBe(true)
})

test('a lock is not stale while the program of a dead owner still works', () => {
  const seen = { ...here, isAlive: (pid: number) => pid === 12 }
  expect(isStale({ pid: 11, host: 'a', worker: 12 }, seen)).toBe(false)
  expect(isStale({ pid: 11, host: 'a', worker: 13 }, seen)).toBe(true)
})

test('a pid of another host says nothing, and neither does an unreadable lock', () => {
  expect(isStale({ pid: 11, host: 'b' }, dead)).toBe(false)
  expect(isStale(undefined, dead)).toBe(false)
})

test('a second holder waits for the first, and the lock is gone afterwards', async () => {
  const order: string[] = []
  let letGo = (): void => {}
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  writeFileSync(path, lockOfParent())
  const second = withLock(
    path,
    () => {
      order.push('waits')
      letGo()
    },
    async () => {
      order.push('runs')
    },
  )
  await held
  rmSync(path)
  order.push('released')
  await second
  expect(order).toEqual(['waits', 'released', 'runs'])
  expect(existsSync(path)).toBe(false)
})

test('a dead holder is taken over', async () => {
  writeFileSync(path, JSON.stringify({ pid: 2 ** 30, host: hostname() }))
  expect(
    await withLock(
      path,
      () => {},
      async () => JSON.parse(readFileSync(path, 'utf8')).pid,
    ),
  ).toBe(process.pid)
})

test('a silent holder is taken over even if its pid lives', async () => {
  writeFileSync(path, lockOfParent())
  const longAgo = new Date(Date.now() - 60_000)
  utimesSync(path, longAgo, longAgo)
  expect(
    await withLock(
      path,
      () => {},
      async () => 'taken',
    ),
  ).toBe('taken')
})

test('the lock names the program that does the work', async () => {
  const owner = await withLock(
    path,
    () => {},
    async (name) => {
      name(4242)
      return JSON.parse(readFileSync(path, 'utf8'))
    },
  )
  expect(owner).toEqual({ pid: process.pid, host: hostname(), worker: 4242 })
  expect(existsSync(path)).toBe(false)
})

test('work that throws releases the lock', async () => {
  const work = withLock(
    path,
    () => {},
    async () => {
      throw new Error('no space')
    },
  )
  await expect(work).rejects.toThrow('no space')
  expect(existsSync(path)).toBe(false)
})

/** The content of a lock whose owner certainly lives and is not this process: its parent. */
function lockOfParent(): string {
  return JSON.stringify({ pid: process.ppid, host: hostname() })
}
