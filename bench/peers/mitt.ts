import { type Data, dataOf } from '../harness/data.ts'
import { type Peer, TOPIC } from './peer.ts'

export const mittPeer: Peer = {
  name: 'mitt',
  kind: 'peer',
  does: { handOver: false, waits: 'no', isolates: false, envelope: false },
  async open(handlers) {
    const { default: module } = await import('mitt')
    // Its types are written for CommonJS, what is loaded is an ES module.
    const mitt = module as unknown as typeof module.default
    const emitter = mitt<Record<typeof TOPIC, Data>>()
    for (const handle of handlers) emitter.on(TOPIC, handle)
    return {
      burst(from, to) {
        for (let id = from; id < to; id++) emitter.emit(TOPIC, dataOf(id))
      },
    }
  },
}
