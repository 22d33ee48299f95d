import { writeSync } from 'node:fs'
import { openBlackboard } from '../../../src/agent/index.ts'
import { sqliteLog } from '../../../src/log/index.ts'

// A process that writes to a blackboard in a file, several at a time, and says what was answered. It ends only by being killed.
const [file = '', life = '0'] = process.argv.slice(2)
const board = await openBlackboard(await sqliteLog(file), { compactAfter: 20, agent: `life ${life}` })
writeSync(1, 'open\n')
for (let round = 0; ; round++) {
  const writes = [0, 1, 2, 3, 4].map(async (key) => {
    const { version } = await board.write(`k${key}`, { life, round, pad: 'x'.repeat(200 * key) })
    writeSync(1, `wrote k${key} ${version} ${round}\n`)
  })
  await Promise.all(writes)
  if (round % 7 === 3) {
    await board.delete('k4')
    writeSync(1, `deleted k4 ${board.stats().version} ${round}\n`)
  }
}
