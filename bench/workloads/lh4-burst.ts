import type { Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { emittery } from '../peers/emittery.ts'
import { mqemitterInOrder } from '../peers/mqemitter.ts'
import { swarmbusAs } from '../peers/swarmbus.ts'
import { publishing } from './publishing.ts'

const MESSAGES = 20_000
const ours = swarmbusAs({ name: 'swarmbus', options: { limit: MESSAGES } })

export const lh4: Workload = {
  id: 'LH4',
  rows: [
    {
      name: 'burst',
      work: 'burst of 20 000 unawaited publishes, one no-op async handler',
      timed:
        'making the data, every publish, until the last handler has ended, then idle(); our queue limit is raised to 20 000',
      unit: 'msg',
      contestants: [ours, bareRing, emittery, mqemitterInOrder].map((peer) =>
        publishing(peer, { kind: 'async', messages: MESSAGES, burst: MESSAGES }),
      ),
      elsewhere: { system: 'llmgine', figures: { perSecond: 43_500 }, note: 'documented commit; newest 31 100' },
    },
  ],
}
