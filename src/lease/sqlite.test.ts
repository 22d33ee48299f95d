import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { systemEnv } from '../kit/env.ts'
import { leaseConformance } from './conformance/suite.ts'
import type { Leases } from './lease.ts'
import { type SqliteLeasesOptions, sqliteLeases } from './sqlite.ts'
import { type MachineClock, openSqliteTable } from './sqlite-table.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'swarmbus-lease-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

leaseConformance(
  async () => {
    const path = mkdtempSync(join(tmpdir(), 'swarmbus-lease-'))
    const all: Leases[] = []
    return {
      async connect() {
        const leases = await sqliteLeases(join(path, 'leases.db'))
        all.push(leases)
        return leases
      },
      pass: (ms) => sleep(ms + 1),
      async [Symbol.asyncDispose]() {
        for (const leases of all) await leases[Symbol.asyncDispose]()
        rmSync(path, { recursive: true, force: true })
      },
    }
  },
  (title, run) => {
    test(title, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  },
)

/** The file, seen by another program. */
function look(file: string): DatabaseSync {
  const db = new DatabaseSync(file)
  onTestFinished(() => {
    if (db.isOpen) db.close()
  })
  return db
}

test('tokens go on rising over reopening, and nothing is held that was left in order', async () => {
  const file = join(folder(), 'leases.db')
  let last = 0
  for (let round = 0; round < 5; round++) {
    await using leases = await sqliteLeases(file)
    expect(await leases.owner('jobs')).toBeUndefined()
    const lease = await leases.hold('jobs', { ttlMs: 600_000 })
    expect(lease.token).toBeGreaterThan(last)
    last = lease.token
  }
})

test('after a restart of the machine all leases are void, and tokens go on rising', async () => {
  const file = join(folder(), 'leases.db')
  await using leases = await sqliteLeases(file)
  const lease = await leases.acquire('jobs', 600_000)
  expect(await leases.owner('jobs')).toBe(lease?.token)
  look(file).exec(`UPDATE machine SET boot = 'another'`)
  expect(await leases.owner('jobs')).toBeUndefined()
  expect(await lease?.renew()).toBe(false)
  expect(lease?.signal.aborted).toBe(true)
  expect((await leases.acquire('jobs', 600_000))?.token).toBeGreaterThan(lease?.token ?? Number.POSITIVE_INFINITY)
})

/** A table whose clock is set by hand. */
function table(file: string, boot: string) {
  const clock = { nowMs: 1_000 }
  const machine: MachineClock = { nowMs: () => clock.nowMs, boot }
  const opened = openSqliteTable(file, machine, 100)
  onTestFinished(() => opened.close())
  return { clock, ...opened }
}

test('[I14] a lease ends by the clock of the machine, to the moment', () => {
  const { clock, take, owner, extend, drop } = table(join(folder(), 'leases.db'), 'boot')
  const token = take('jobs', 500)!
  clock.nowMs = 1_499.9
  expect([owner('jobs'), take('jobs', 500)]).toEqual([token, undefined])
  expect(extend('jobs', token, 1_000)).toBe(true)
  clock.nowMs = 2_499.8
  expect(owner('jobs')).toBe(token)
  clock.nowMs = 2_499.9
  expect([owner('jobs'), extend('jobs', token, 1_000), drop('jobs', token)]).toEqual([undefined, false, false])
  expect(take('jobs', 500)).toBe(token + 1)
  expect([extend('jobs', token, 9_000), drop('jobs', token), owner('jobs')]).toEqual([false, false, token + 1])
})

test('where the system does not name its starts, a clock that went back tells of one', () => {
  const file = join(folder(), 'leases.db')
  const before = table(file, '')
  before.clock.nowMs = 50_000
  const token = before.take('jobs', 10_000)!
  const after = table(file, '')
  after.clock.nowMs = 55_000
  // Not to be told from the same start: held for what it had left.
  expect(after.owner('jobs')).toBe(token)
  after.clock.nowMs = 49_999
  expect(after.owner('jobs')).toBeUndefined()
  expect(after.take('jobs', 10_000)).toBe(token + 1)
  expect(after.owner('jobs')).toBe(token + 1)
})

test('the file keeps no names that nobody holds', async () => {
  const file = join(folder(), 'leases.db')
  await using leases = await sqliteLeases(file)
  for (let index = 0; index < 20; index++) await leases.acquire(`short ${index}`, 1)
  for (let index = 0; index < 20; index++) await (await leases.acquire(`long ${index}`, 600_000))?.release()
  await sleep(5)
  await leases.acquire('last', 600_000)
  expect(look(file).prepare('SELECT name FROM leases').all()).toEqual([{ name: 'last' }])
})

test('the file and its journals are for its user alone, and so is a folder that is made for it', async () => {
  const path = folder()
  await using leases = await sqliteLeases(join(path, 'new', 'deep', 'leases.db'))
  await leases.acquire('jobs', 1_000)
  const rights = (at: string): string => (statSync(join(path, at)).mode & 0o777).toString(8)
  expect(['new', 'new/deep'].map(rights)).toEqual(['700', '700'])
  const files = readdirSync(join(path, 'new/deep')).toSorted()
  expect(files).toEqual(['leases.db', 'leases.db-shm', 'leases.db-wal'])
  expect(files.map((name) => rights(`new/deep/${name}`))).toEqual(['600', '600', '600'])
})

test('many may make the same file at once', async () => {
  const file = join(folder(), 'leases.db')
  const all = await Promise.all(Array.from({ length: 6 }, () => sqliteLeases(file)))
  const got = await Promise.all(all.map((leases) => leases.acquire('jobs', 600_000)))
  expect(got.filter((lease) => lease !== undefined)).toHaveLength(1)
  for (const leases of all) await leases[Symbol.asyncDispose]()
  expect(readdirSync(join(file, '..'))).toEqual(['leases.db'])
})

test('a file of another program is refused and stays as it is', async () => {
  const path = folder()
  const write = (name: string, sql: string): string => {
    const db = new DatabaseSync(join(path, name))
    db.exec(sql)
    db.close()
    return join(path, name)
  }
  writeFileSync(join(path, 'text'), 'These are my notes, and no database at all. '.repeat(100))
  const files = [
    join(path, 'text'),
    write('table', 'CREATE TABLE mine (a)'),
    write('id', 'PRAGMA application_id = 5; CREATE TABLE machine (a); CREATE TABLE leases (b)'),
    write('version', 'PRAGMA user_version = 1'),
  ]
  for (const file of files) {
    const before = readFileSync(file)
    await expect(sqliteLeases(file)).rejects.toMatchObject({ code: 'STORE_FAILED', details: { file } })
    expect(readFileSync(file).equals(before)).toBe(true)
  }
  expect(readdirSync(path).toSorted()).toEqual(['id', 'table', 'text', 'version'])
})

test('a file of a newer version is refused', async () => {
  const file = join(folder(), 'leases.db')
  await (await sqliteLeases(file))[Symbol.asyncDispose]()
  look(file).exec('PRAGMA user_version = 2')
  await expect(sqliteLeases(file)).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW', details: { version: 2, known: 1 } })
})

test('a file that cannot be is refused', async () => {
  const path = folder()
  mkdirSync(join(path, 'leases.db'))
  writeFileSync(join(path, 'file'), '')
  for (const file of ['leases.db', 'file/leases.db', 'x'.repeat(300)]) {
    await expect(sqliteLeases(join(path, file))).rejects.toMatchObject({ code: 'STORE_FAILED' })
  }
})

test('a damaged file rejects calls with STORE_FAILED, and a held lease then ends by the clock', async () => {
  const file = join(folder(), 'leases.db')
  await using leases = await sqliteLeases(file)
  const lease = await leases.hold('jobs', { ttlMs: 500 })
  look(file).exec('DROP TABLE leases')
  for (const call of [leases.acquire('other', 1_000), leases.owner('jobs'), leases.hold('other', { ttlMs: 1_000 })]) {
    await expect(call).rejects.toMatchObject({ code: 'STORE_FAILED', details: { busy: false } })
  }
  await new Promise<void>((resolve) => {
    if (lease.signal.aborted) resolve()
    else lease.signal.addEventListener('abort', () => resolve())
  })
  expect(lease.signal.reason).toMatchObject({ code: 'CANCELLED', details: { name: 'jobs', token: lease.token } })
})

test('while another process keeps writing, calls end with STORE_FAILED, all together, and waits go on', async () => {
  const file = join(folder(), 'leases.db')
  await using leases = await sqliteLeases(file, { busyTimeoutMs: 200 })
  const lease = (await leases.acquire('jobs', 600_000))!
  const other = look(file)
  other.exec('BEGIN IMMEDIATE')
  const wait = leases.hold('other', { ttlMs: 600_000 })
  // One after the other they would take longer than a test may.
  const calls = Array.from({ length: 300 }, (_, index) => leases.acquire(`name ${index}`, 600_000))
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED', details: { busy: true } } })
  }
  await expect(lease.renew()).rejects.toMatchObject({ code: 'STORE_FAILED' })
  expect(lease.signal.aborted).toBe(false)
  other.exec('ROLLBACK')
  expect(await leases.owner('other')).toSatisfy((token) => token === undefined || token === lease.token + 1)
  expect((await wait).token).toBe(lease.token + 1)
  expect(await lease.renew()).toBe(true)
})

test('who waits looks again within 300 ms, however long the wait', async () => {
  const file = join(folder(), 'leases.db')
  await using holder = await sqliteLeases(file)
  const lease = await holder.acquire('jobs', 600_000)
  const real = systemEnv()
  const delays: number[] = []
  await using leases = await sqliteLeases(file, {
    env: {
      ...real,
      random: () => 1 - Number.EPSILON,
      after(delayMs, run) {
        delays.push(delayMs)
        // The looks themselves are what this is about, not the time between them.
        return real.after(0, run)
      },
    },
  })
  const wait = leases.hold('jobs', { ttlMs: 600_000 })
  while (delays.length < 20) await sleep(1)
  const waits = delays.slice()
  await lease?.release()
  await wait
  expect(waits[0]).toBeLessThanOrEqual(15)
  expect(Math.max(...waits)).toBeLessThanOrEqual(300)
})

test('a hundred leases of one thread are renewed without holding the event loop', async () => {
  const file = join(folder(), 'leases.db')
  await using leases = await sqliteLeases(file, { busyTimeoutMs: 600_000 })
  const other = look(file)
  const held = await Promise.all(Array.from({ length: 100 }, (_, index) => leases.hold(`n${index}`, { ttlMs: 60_000 })))
  other.exec('BEGIN IMMEDIATE')
  let turns = 0
  const renewals = Promise.all(held.map((lease) => lease.renew()))
  // The file is busy: only a free event loop gets here to end that.
  while (turns < 50) {
    await sleep(1)
    turns++
  }
  other.exec('ROLLBACK')
  expect(new Set(await renewals)).toEqual(new Set([true]))
})

test.each<[unknown, SqliteLeasesOptions?]>([
  [''],
  [5],
  [undefined],
  [':memory:'],
  ['a\0b'],
  ['f', { limit: 0 }],
  ['f', { busyTimeoutMs: -1 }],
  ['f', { busyTimeoutMs: 0.5 }],
  ['f', { other: 1 } as SqliteLeasesOptions],
])('the file %j with the options %j is refused', async (file, options) => {
  await expect(sqliteLeases(file as string, options)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})
