import type { Workload } from '../harness/types.ts'
import { sendUntilHandled } from '../peers/handled.ts'
import { bareRequest, moleculerCall } from '../peers/requests.ts'
import { asking } from './asking.ts'

export const wh2: Workload = {
  id: 'WH2',
  rows: [
    {
      name: 'hop',
      work: '50 000 × send to an agent’s no-op handler, each awaited until handled',
      timed:
        'making the data, send, hand-over, handler, report, two clock readings. The bare ring and Moleculer answer with a value',
      unit: 'msg',
      contestants: [sendUntilHandled, bareRequest, moleculerCall].map((asker) => asking(asker, 50_000, 1)),
      elsewhere: {
        system: 'woodwork',
        figures: { perSecond: 243_072, p50: 0.73, p95: 0.76, p99: 0.79 },
        note: 'a function call inside the sender: no queue, no acknowledgement, no isolation',
      },
    },
  ],
}
