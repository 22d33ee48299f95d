import { type Data, dataOf } from '../harness/data.ts'
import { type Peer, TOPIC } from './peer.ts'

/** The promise of an `emit` waits for its handlers; the next `emit` does not. */
export const emittery: Peer = {
  name: 'emittery',
  kind: 'peer',
  does: { handOver: true, waits: 'each', isolates: true, envelope: false },
  async open(handlers) {
    const { default: Emittery } = await import('emittery')
    const emitter = new Emittery<Record<typeof TOPIC, Data>>()
    for (const handle of handlers) emitter.on(TOPIC, ({ data }) => handle(data) as void)
    return {
      burst(from, to) {
        for (let id = from; id < to; id++) void emitter.emit(TOPIC, dataOf(id))
      },
    }
  },
}
