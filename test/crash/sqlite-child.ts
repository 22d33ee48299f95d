import { writeSync } from 'node:fs'
import { sqliteStore } from '../../src/log/sqlite/store.ts'
import { roundOf } from './sqlite-kit.ts'

// A process that commits round after round into a file, says `acked N` after each answer, and is killed at a failpoint or from outside.
// Arguments: file, rounds, what to do at the end (`close`, `wait`, or `kill`), failpoint.
const [file = '', rounds = '0', end = 'close', failAt] = process.argv.slice(2)
try {
  const store = sqliteStore(file, failAt === undefined ? {} : { failAt })
  const { streams } = await store.load()
  const done = streams.find(({ stream }) => stream === 'c/a')?.next ?? 1
  writeSync(1, 'open\n')
  for (let round = (done - 1) / 5 + 1; round <= Number(rounds); round++) {
    await store.commit(roundOf(round))
    writeSync(1, `acked ${round}\n`)
  }
  if (end === 'close') await store[Symbol.asyncDispose]()
  else if (end === 'kill') process.kill(process.pid, 'SIGKILL')
  else writeSync(1, 'waiting\n')
} catch (error) {
  const { code, message } = error as { code?: string; message?: string }
  writeSync(1, `failed ${code} ${message}\n`)
  process.exitCode = 1
  process.kill(process.pid, 'SIGTERM')
}
