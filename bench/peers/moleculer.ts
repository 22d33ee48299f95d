import { type Data, dataOf } from '../harness/data.ts'
import { type Peer, TOPIC } from './peer.ts'

/** Local events. The promise of an `emit` waits for its handlers; the next `emit` does not. */
export const moleculerEmit: Peer = {
  name: 'Moleculer emit',
  kind: 'peer',
  does: { handOver: false, waits: 'each', isolates: true, envelope: true },
  async open(handlers) {
    const { ServiceBroker } = await import('moleculer')
    const broker = new ServiceBroker({ logger: false })
    handlers.forEach((handle, index) => {
      broker.createService({
        name: `worker-${index}`,
        events: { [TOPIC]: (context: { readonly params: Data }) => handle(context.params) as void },
      })
    })
    await broker.start()
    return {
      burst(from, to) {
        for (let id = from; id < to; id++) void broker.emit(TOPIC, dataOf(id))
      },
      close: () => broker.stop(),
    }
  },
}
