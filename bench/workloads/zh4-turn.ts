import type { Workload } from '../harness/types.ts'
import { inTurn } from './mailing.ts'

export const zh4: Workload = {
  id: 'ZH4',
  rows: [
    {
      name: 'in turn',
      work: 'one task sends and receives in turn, 20 000 times',
      timed: 'making the data, awaiting send, awaiting receive, two clock readings',
      unit: 'msg',
      contestants: inTurn(20_000),
      elsewhere: { system: 'zejzl', figures: { perSecond: 76_672, p50: 12.2, p95: 19.6, p99: 22.1 } },
    },
  ],
}
