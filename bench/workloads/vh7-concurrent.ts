import type { Workload } from '../harness/types.ts'
import { agentRequest, bareNested, nestedRequest } from '../peers/handled.ts'
import { bareRequest, moleculerCall } from '../peers/requests.ts'
import { asking } from './asking.ts'

const TIMED = 'making the data, request with its deadline, handler, answer, reading and checking it; two clock readings'

export const vh7: Workload = {
  id: 'VH7',
  rows: [
    {
      name: 'concurrent',
      work: '100 concurrent requesters × 20, one agent answers',
      timed: TIMED,
      unit: 'requests',
      contestants: [agentRequest, bareRequest, moleculerCall].map((asker) => asking(asker, 2_000, 100)),
      elsewhere: {
        system: 'veritas',
        figures: { perSecond: 13_500 },
        note: 'its fastest setting; recommended one 1 155',
      },
    },
    {
      name: 'nested',
      work: '120 concurrent requests whose handler asks another agent: all must succeed',
      timed: `${TIMED}, at both agents. One that fails fails the row`,
      unit: 'requests',
      contestants: [
        ...[nestedRequest('swarmbus', undefined), nestedRequest('with concurrency 5', 5)].map((asker) =>
          asking(asker, 120, 120),
        ),
        asking(bareNested, 120, 120),
      ],
      elsewhere: {
        system: 'veritas',
        figures: {},
        note: 'default: 0 inner answers, 98 inner and 22 outer timeouts',
      },
    },
  ],
}
