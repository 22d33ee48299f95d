import type { Workload } from '../harness/types.ts'
import { agentRequest } from '../peers/handled.ts'
import { bareRequest, moleculerCall, moleculerCallDeadline } from '../peers/requests.ts'
import { asking } from './asking.ts'

export const wh6: Workload = {
  id: 'WH6',
  rows: [
    {
      name: 'request',
      work: 'request → reply of an agent, 10 000 in sequence',
      timed: 'making the data, request with its deadline, handler, answer, reading and checking it; two clock readings',
      unit: 'requests',
      contestants: [agentRequest, bareRequest, moleculerCall, moleculerCallDeadline].map((asker) =>
        asking(asker, 10_000, 1),
      ),
      elsewhere: {
        system: 'woodwork',
        figures: { perSecond: 168_159, p50: 5.8, p99: 6.1 },
        note: 'its inline form without a timeout; its routed form: 20/s, p50 50.5 ms',
      },
    },
  ],
}
