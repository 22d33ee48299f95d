import { spaced } from '../harness/format.ts'
import type { Workload } from '../harness/types.ts'
import { bullmq, bullmqAdd } from '../peers/bullmq.ts'
import { rawReadAck, rawXadd } from '../peers/raw-redis.ts'
import { acked, handled } from './keeping.ts'

const MESSAGES = 50_000
const IN_FLIGHT = 1_024
const BULLMQ = bullmq(MESSAGES / 5, IN_FLIGHT, false)
const BULK = bullmq(MESSAGES / 5, IN_FLIGHT, true)
const XADD = rawXadd(MESSAGES, IN_FLIGHT)

export const p6: Workload = {
  id: 'P6',
  rows: [
    {
      name: 'publish → ack',
      work: `redis with AOF everysec: ${spaced(IN_FLIGHT)} publishers, each waits until the server has its message`,
      timed:
        'making the data, envelope, id, freezing, encoding, duplicate window, one atomic step in the server, acknowledgement. Raw: JSON text, XADD, its answer',
      unit: 'msg',
      contestants: [acked('redis', MESSAGES, IN_FLIGHT), XADD, bullmqAdd(MESSAGES / 5, IN_FLIGHT)],
      bars: [
        {
          text: '≥ 0.7 of the raw client',
          value: (medians) => medians.of('swarmbus') / medians.of(XADD.name),
          atLeast: 0.7,
        },
      ],
    },
    {
      name: 'publish → handled → acked',
      work: 'the same with one durable group: until every message is handled and its settlement is kept',
      timed:
        'as above, and reading, hand-out with leases, async handler, settlement. BullMQ: until the job is completed and removed',
      unit: 'msg',
      contestants: [handled('redis', MESSAGES, IN_FLIGHT), BULLMQ, BULK, rawReadAck(MESSAGES)],
      bars: [
        { text: `≥ ${spaced(60_000)}/s`, value: (medians) => medians.of('swarmbus'), atLeast: 60_000 },
        {
          text: '≥ 4 × BullMQ (the better of its two)',
          value: (medians) => medians.of('swarmbus') / Math.max(medians.of(BULLMQ.name), medians.of(BULK.name)),
          atLeast: 4,
        },
      ],
    },
  ],
}
