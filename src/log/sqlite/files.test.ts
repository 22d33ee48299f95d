import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { appendOf, folder, readAll, runChild } from '../../../test/crash/sqlite-kit.ts'
import { inspectFile } from './integrity.ts'
import { APPLICATION_ID, MIGRATIONS, migrate } from './schema.ts'
import { sqliteStore } from './store.ts'

test('a second opener, of this process or another, is refused and told who holds the file', async () => {
  using temp = folder()
  {
    await using first = sqliteStore(temp.file)
    await first.load()
    await using second = sqliteStore(temp.file)
    const refused = expect.objectContaining({
      code: 'STORE_LOCKED',
      message: expect.stringContaining(`process ${process.pid}`),
    })
    await expect(second.load()).rejects.toEqual(refused)
    await expect(inspectFile(temp.file)).rejects.toEqual(refused)
    const child = await runChild([temp.file, '1'])
    expect(child.output).toContain(`failed STORE_LOCKED ${temp.file} is held by process ${process.pid} (since `)
    expect(await first.commit([appendOf('c/a', 1)])).toHaveLength(1)
  }
  expect(await runChild([temp.file, '1'])).toMatchObject({ signal: null })
})

test('the lock of a killed process is free at once', async () => {
  using temp = folder()
  const child = await runChild([temp.file, '3', 'wait'], (line, kill) => {
    if (line !== 'waiting') return
    expect(() => readAll(temp.file)).toThrow(/is held by process \d+ \(since /)
    kill()
  })
  expect(child.signal).toBe('SIGKILL')
  expect(readAll(temp.file).state.streams).toHaveLength(2)
})

test('the folder and all files are for their owner alone', async () => {
  using temp = folder()
  const inner = join(temp.path, 'made', 'here')
  const file = join(inner, 'log.db')
  const before = process.umask(0o022)
  try {
    await using store = sqliteStore(file)
    await store.load()
    await store.commit([appendOf('c/a', 1)])
    const names = readdirSync(inner).sort()
    expect(names).toEqual(['log.db', 'log.db-lock', 'log.db-mark', 'log.db-owner', 'log.db-reserve', 'log.db-wal'])
    for (const name of names) expect((statSync(join(inner, name)).mode & 0o777).toString(8), name).toBe('600')
    expect((statSync(inner).mode & 0o777).toString(8)).toBe('700')
  } finally {
    process.umask(before)
  }
  expect(readdirSync(inner).sort()).toEqual(['log.db', 'log.db-lock', 'log.db-mark', 'log.db-reserve'])
})

test('a file that is no database, or another one, is refused and left as it is', () => {
  using temp = folder()
  const text = 'this is a letter, and long enough to be taken for the head of something'
  writeFileSync(temp.file, text)
  expect(() => readAll(temp.file)).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
  expect(() => readAll(temp.file)).toThrow(/is no SQLite database/)
  expect(readFileSync(temp.file, 'utf8')).toBe(text)
  using other = folder()
  const foreign = new DatabaseSync(other.file)
  foreign.exec('CREATE TABLE recipes (name); INSERT INTO recipes VALUES (1)')
  foreign.close()
  const before = readFileSync(other.file)
  expect(() => readAll(other.file)).toThrow(/belongs|another program/)
  expect(readFileSync(other.file).equals(before)).toBe(true)
})

test('a file of a later version is refused with SCHEMA_TOO_NEW, and opens once the version is known', () => {
  using temp = folder()
  readAll(temp.file)
  const set = (version: number): void => {
    const database = new DatabaseSync(temp.file)
    database.exec(`PRAGMA user_version = ${version}`)
    database.close()
  }
  set(MIGRATIONS.length + 1)
  expect(() => readAll(temp.file)).toThrow(expect.objectContaining({ code: 'SCHEMA_TOO_NEW' }))
  set(MIGRATIONS.length)
  expect(readAll(temp.file).state.clean).toBe(true)
})

/** A file as it was before the first release: claimed, of version 0, without tables. */
function legacy(file: string): DatabaseSync {
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 0`)
  return database
}

test('a file of version 0 is brought to the newest version, and one whose step fails stays whole', () => {
  using temp = folder()
  legacy(temp.file).close()
  expect(readAll(temp.file).state.streams).toEqual([])
  using other = folder()
  const database = legacy(other.file)
  const steps = [...MIGRATIONS, (on: DatabaseSync) => on.exec('CREATE TABLE extra (a); SELECT wrong FROM nowhere')]
  expect(() => migrate(database, other.file, steps)).toThrow(/nowhere/)
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length })
  expect(database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'extra'").get()).toEqual({ n: 0 })
  migrate(database, other.file, [...MIGRATIONS, (on) => on.exec('CREATE TABLE extra (a)')])
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length + 1 })
  database.close()
})

test('a place where no file can be is refused with what is wrong with it, and nothing is left there', async () => {
  using temp = folder()
  const inside = join(temp.file, '..')
  writeFileSync(join(inside, 'plain'), 'x')
  for (const [file, says] of [
    [inside, 'it is a folder. Name a file in it'],
    [join(inside, 'plain', 'swarm.db'), 'a part of its path is no folder'],
    [join(inside, 'x'.repeat(300)), 'its name is too long'],
    // Here node's own way to make folders would try for ever.
    ...(process.platform === 'linux' ? [['/proc/swarmbus/deep/swarm.db', 'it cannot be made there']] : []),
  ] as const) {
    await using store = sqliteStore(file)
    await expect(store.load(), file).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(says),
    })
  }
  expect(readdirSync(inside)).toEqual(['plain'])
})

test('what SQLite would take for a database without a file is refused: it would be a file of that name', () => {
  for (const name of [':memory:', 'file:x.db', '']) {
    expect(() => sqliteStore(name)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  }
})
