import { EventEmitter } from 'node:events'
import { dataOf } from '../harness/data.ts'
import { type Peer, TOPIC } from './peer.ts'

export const nodeEmitter: Peer = {
  name: 'EventEmitter',
  kind: 'peer',
  does: { handOver: false, waits: 'no', isolates: false, envelope: false },
  open(handlers) {
    const emitter = new EventEmitter().setMaxListeners(0)
    for (const handle of handlers) emitter.on(TOPIC, handle)
    return {
      burst(from, to) {
        for (let id = from; id < to; id++) emitter.emit(TOPIC, dataOf(id))
      },
    }
  },
}
