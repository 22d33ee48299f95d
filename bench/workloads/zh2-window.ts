import type { Figures, Row, Workload } from '../harness/types.ts'
import { windowed } from './mailing.ts'

function row(inFlight: number, figures: Figures): Row {
  return {
    name: `${inFlight} in flight`,
    work: `100 000 messages to a consumer task, ${inFlight} in flight`,
    timed:
      'making the data, send, the consumer’s receive, the window, until the last was received; two clock readings per message. ' +
      'Percentiles: from send until received',
    unit: 'msg',
    contestants: windowed(100_000, inFlight),
    elsewhere: { system: 'zejzl', figures },
  }
}

export const zh2: Workload = {
  id: 'ZH2',
  rows: [
    row(1, { perSecond: 69_217, p50: 7.2, p95: 7.8, p99: 12.2 }),
    row(64, { perSecond: 66_669, p50: 941, p95: 983, p99: 1_087 }),
    row(1_024, { perSecond: 65_019, p50: 15_700, p95: 16_000, p99: 16_300 }),
  ],
}
