import { dataOf } from '../harness/data.ts'
import { type Peer, TOPIC } from './peer.ts'

export const eventemitter3: Peer = {
  name: 'eventemitter3',
  kind: 'peer',
  does: { handOver: false, waits: 'no', isolates: false, envelope: false },
  async open(handlers) {
    const { EventEmitter } = await import('eventemitter3')
    const emitter = new EventEmitter()
    for (const handle of handlers) emitter.on(TOPIC, handle)
    return {
      burst(from, to) {
        for (let id = from; id < to; id++) emitter.emit(TOPIC, dataOf(id))
      },
    }
  },
}
