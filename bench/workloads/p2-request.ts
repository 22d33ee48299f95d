import type { Bar, Row, Workload } from '../harness/types.ts'
import { bareRequest, moleculerCall, moleculerCallDeadline, swarmbusRequest } from '../peers/requests.ts'
import { askingUntimed } from './asking.ts'

const ASKERS = [swarmbusRequest, bareRequest, moleculerCall, moleculerCallDeadline]
const BARS: readonly Bar[] = [
  { text: '≥ 1.5 M/s', value: (medians) => medians.of('swarmbus'), atLeast: 1_500_000 },
  ...[moleculerCallDeadline, moleculerCall].map(
    ({ name }): Bar => ({
      text: `ahead of ${name}`,
      value: (medians) => medians.of('swarmbus') / medians.of(name),
      atLeast: 1,
    }),
  ),
]

function row(name: string, inFlight: number): Row {
  return {
    name,
    work: `request → reply, ${name}, deadline armed`,
    timed:
      'making the data, request, hand-over, handler, answer, reading and checking it, until the last caller has its last. Ours ' +
      'always with a deadline, queue and envelopes; Moleculer has no queue, and a deadline only where it says so',
    unit: 'requests',
    contestants: ASKERS.map((asker) => askingUntimed(asker, 50_000, inFlight)),
    bars: BARS,
  }
}

export const p2: Workload = { id: 'P2', rows: [row('serial', 1), row('100 in flight', 100)] }
