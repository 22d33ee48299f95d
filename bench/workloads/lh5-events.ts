import type { Elsewhere, Row, Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { publishUntilHandled } from '../peers/handled.ts'
import { nodeEmitter } from '../peers/node-emitter.ts'
import { bareRequest } from '../peers/requests.ts'
import { swarmbus } from '../peers/swarmbus.ts'
import { asking } from './asking.ts'
import { publishing } from './publishing.ts'

function awaited(name: string, work: string, messages: number, publishers: number, elsewhere: Elsewhere): Row {
  return {
    name,
    work,
    timed:
      'making the data, publish until handled, handler, report, two clock readings per event. The bare ring answers with a value',
    unit: 'msg',
    contestants: [publishUntilHandled, bareRequest].map((asker) => asking(asker, messages, publishers)),
    elsewhere,
  }
}

export const lh5: Workload = {
  id: 'LH5',
  rows: [
    {
      name: '10 handlers',
      work: '5 000 events × 10 async handlers',
      timed: 'one burst: making the data, publish, until the last of 50 000 deliveries has ended, then idle()',
      unit: 'deliveries',
      contestants: [swarmbus, bareRing, nodeEmitter].map((peer) =>
        publishing(peer, { kind: 'async', messages: 5_000, handlers: 10, burst: 5_000 }),
      ),
      elsewhere: { system: 'llmgine', figures: { perSecond: 146_700 }, note: 'documented commit; newest 127 800' },
    },
    awaited('100 publishers', '5 000 events from 100 awaiting publishers', 5_000, 100, {
      system: 'llmgine',
      figures: { perSecond: 64_100 },
      note: 'documented commit; newest 28 000',
    }),
    awaited('300 in sequence', '300 events awaited in sequence', 300, 1, {
      system: 'llmgine',
      figures: { perSecond: 45_800, p50: 19, p99: 100 },
      note: 'documented commit; newest 94.6/s',
    }),
  ],
}
