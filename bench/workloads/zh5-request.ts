import { spaced } from '../harness/format.ts'
import type { Row, Workload } from '../harness/types.ts'
import { bareRequest, moleculerCall, swarmbusRequest } from '../peers/requests.ts'
import { asking } from './asking.ts'
import { broadcasting } from './mailing.ts'

function broadcast(messages: number, consumers: number, perSecond: number): Row {
  return {
    name: `broadcast to ${consumers}`,
    work: `broadcast of ${spaced(messages)} messages to ${consumers} consumer tasks`,
    timed: 'making the data, broadcast, every task’s receive, until the last one has received the last message',
    unit: 'deliveries',
    contestants: broadcasting(messages, consumers),
    elsewhere: { system: 'zejzl', figures: { perSecond } },
  }
}

export const zh5: Workload = {
  id: 'ZH5',
  rows: [
    {
      name: 'request',
      work: 'request → reply, 10 000 in sequence',
      timed: 'making the data, request with its deadline, handler, answer, reading and checking it; two clock readings',
      unit: 'requests',
      contestants: [swarmbusRequest, bareRequest, moleculerCall].map((asker) => asking(asker, 10_000, 1)),
      elsewhere: { system: 'zejzl', figures: { perSecond: 22_197, p50: 43.1, p95: 47.1, p99: 68.8 } },
    },
    broadcast(2_000, 10, 84_882),
    broadcast(300, 100, 91_569),
  ],
}
