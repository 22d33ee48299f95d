import { dataOf } from '../harness/data.ts'
import { AwaitingRing, SyncRing } from '../ring.ts'
import type { Peer } from './peer.ts'

/** The limit: a ring for each handler, one microtask that serves it, a call (awaited in order for async handlers). */
export const bareRing: Peer = {
  name: 'bare ring',
  kind: 'limit',
  does: { handOver: true, waits: 'in order', isolates: false, envelope: false },
  open(handlers, kind) {
    const capacity = handlers.length === 1 ? 32_768 : 8_192
    const rings = handlers.map((handle) =>
      kind === 'sync' ? new SyncRing(handle, capacity) : new AwaitingRing(handle, capacity),
    )
    const [only] = rings
    if (only === undefined) throw new Error('at least one handler')
    return {
      burst(from, to) {
        if (rings.length === 1) {
          for (let id = from; id < to; id++) only.push(dataOf(id))
          return
        }
        for (let id = from; id < to; id++) {
          const data = dataOf(id)
          for (const ring of rings) ring.push(data)
        }
      },
    }
  },
}
