import { copyFileSync, existsSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { folder } from '../../../test/crash/sqlite-kit.ts'
import { type FakeEnv, fakeEnv } from '../../testing/fake-env.ts'
import { logConformance } from '../conformance/suite.ts'
import type { MessageLog } from '../log.ts'
import { type SqliteLogOptions, sqliteLog } from './sqlite.ts'

// In memory where there is such a folder: the suite makes a hundred files, and waits for real time beside.
const temp = folder(existsSync('/dev/shm') ? '/dev/shm' : undefined)
const STEPS = 10
const abandoned: MessageLog[] = []
afterAll(async () => {
  for (const log of abandoned) await log[Symbol.asyncDispose]()
  temp[Symbol.dispose]()
})

let env: FakeEnv = fakeEnv()
const live = new Set<MessageLog>()

/** What the threads were asked is done, and so is what came of it. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    for (const log of live) await log.find('no-channel', 'no key').catch(() => live.delete(log))
    await env.settle()
  }
}

// The threads work in real time, everything else in simulated time: so nothing depends on the speed of the machine.
const clock = {
  wallMs: () => env.wallMs(),
  async advance(ms: number): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      await rest()
      await env.advance(ms / STEPS)
    }
    await rest()
  },
}

interface Made {
  readonly file: string
  readonly options: SqliteLogOptions
}

const made = new WeakMap<MessageLog, Made>()
let count = 0

async function open(file: string, options: SqliteLogOptions): Promise<MessageLog> {
  const log = await sqliteLog(file, { reserveBytes: 0, env, ...options })
  live.add(log)
  made.set(log, { file, options })
  return log
}

logConformance(
  {
    clock,
    make(options) {
      env = fakeEnv()
      return open(`${temp.file}-${++count}`, options ?? {})
    },
    async reopen(log) {
      const { file, options } = made.get(log) as Made
      await log[Symbol.asyncDispose]()
      return open(file, options)
    },
    // What a killed process leaves: the files as they are after some commit, which a copy takes on. The mark first, for it must not
    // be ahead of what it speaks of; a commit that is copied by half is cut off as a torn tail.
    async crash(log) {
      const { file, options } = made.get(log) as Made
      const copy = `${temp.file}-${++count}`
      // What was asked before the crash has been carried out.
      await log.find('no-channel', 'no key')
      for (const part of ['-mark', '', '-wal']) copyFileSync(`${file}${part}`, `${copy}${part}`)
      abandoned.push(log)
      return open(copy, options)
    },
  },
  (title, run) =>
    test(`${title} (sqlite)`, async () => {
      await expect(run()).resolves.toBeUndefined()
    }),
)
