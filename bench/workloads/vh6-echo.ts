import type { Workload } from '../harness/types.ts'
import { agentRequest } from '../peers/handled.ts'
import { bareRequest, moleculerCall } from '../peers/requests.ts'
import { asking } from './asking.ts'

export const vh6: Workload = {
  id: 'VH6',
  rows: [
    {
      name: 'echo',
      work: '50 × echo of an agent in sequence, over and over',
      timed: 'making the data, request with its deadline, handler, answer, reading and checking it; two clock readings',
      unit: 'requests',
      contestants: [agentRequest, bareRequest, moleculerCall].map((asker) => asking(asker, 50, 1)),
      elsewhere: {
        system: 'veritas',
        figures: { perSecond: 12_300, p50: 70, p99: 430 },
        note: 'its fastest setting; default 5/s, p50 201 ms',
      },
    },
  ],
}
