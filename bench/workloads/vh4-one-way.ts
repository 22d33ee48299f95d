import type { Handler } from '../../src/index.ts'
import { dataOf } from '../harness/data.ts'
import type { Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { mqemitterInOrder } from '../peers/mqemitter.ts'
import { swarmbusAs } from '../peers/swarmbus.ts'
import { publishing } from './publishing.ts'

const ours = swarmbusAs({
  bind: (bus, handler) => bus.register('sink', { handler: handler as Handler }),
  send: (bus, id) => bus.send('sink', dataOf(id)),
})

export const vh4: Workload = {
  id: 'VH4',
  rows: [
    {
      name: 'one way',
      work: '5 000 messages to one agent, first send to last handler',
      timed: 'making the data, every send, until the last handler has ended, then idle()',
      unit: 'msg',
      contestants: [ours, bareRing, mqemitterInOrder].map((peer) =>
        publishing(peer, { kind: 'async', messages: 5_000, burst: 5_000 }),
      ),
      elsewhere: {
        system: 'veritas',
        figures: { perSecond: 37_400 },
        note: 'its fastest setting, 1 worker without batches; default 16 200',
      },
    },
  ],
}
