import type { Workload } from '../harness/types.ts'
import { chainOfTasks } from './mailing.ts'

export const zh6: Workload = {
  id: 'ZH6',
  rows: [
    {
      name: 'nine tasks',
      work: 'driver → nine tasks in a chain → driver, 3 000 cycles one at a time',
      timed:
        'one cycle of ten hops: making the data, ten sends, nine of them awaited, ten receives, two clock readings',
      unit: 'cycles',
      contestants: chainOfTasks(9, 3_000),
      elsewhere: { system: 'zejzl', figures: { perSecond: 7_100, p50: 136, p95: 153, p99: 178 } },
    },
  ],
}
