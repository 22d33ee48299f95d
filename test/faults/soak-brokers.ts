import { startNats } from '../servers/nats.ts'
import { startRedis } from '../servers/redis.ts'
import { soak } from './soak.ts'

// `node test/faults/soak-brokers.ts 60`: a soak of so many minutes on each broker, one after the other. Ends with 1 when something acknowledged is lost.
const minutes = Number(process.argv[2] ?? '10')
let bad = 0
for (const kind of ['redis', 'nats'] as const) {
  await using server = await (kind === 'redis' ? startRedis() : startNats())
  const report = await soak(kind, server, minutes * 60_000, Math.random)
  console.log(kind, report)
  bad += report.lost.length + report.overtaking.length + report.deadLetters
}
process.exitCode = bad === 0 ? 0 : 1
