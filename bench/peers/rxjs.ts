import { type Data, dataOf } from '../harness/data.ts'
import type { Peer } from './peer.ts'

/** `subscribe` for sync handlers, `concatMap` for async ones: the operator that waits, in order. */
export const rxjs: Peer = {
  name: 'RxJS Subject',
  kind: 'peer',
  does: { handOver: false, waits: 'in order', isolates: false, envelope: false },
  async open(handlers, kind) {
    const { concatMap, Subject } = await import('rxjs')
    const subject = new Subject<Data>()
    for (const handle of handlers) {
      if (kind === 'sync') subject.subscribe(handle)
      else subject.pipe(concatMap((data) => handle(data) as Promise<unknown>)).subscribe()
    }
    return {
      burst(from, to) {
        for (let id = from; id < to; id++) subject.next(dataOf(id))
      },
      close: () => subject.complete(),
    }
  },
}
