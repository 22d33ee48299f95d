import type { Data } from '../harness/data.ts'
import { type Channel, type Handle, type HandlerKind, type Peer, TOPIC } from './peer.ts'

const SLASHED = TOPIC.replaceAll('.', '/')

async function open(concurrency: number, handlers: readonly Handle[], kind: HandlerKind): Promise<Channel> {
  const { default: mqemitter } = await import('mqemitter')
  const emitter = mqemitter({ concurrency })
  for (const handle of handlers) {
    emitter.on(SLASHED, (message, done) => {
      const result = handle(message as unknown as Data)
      if (kind === 'sync') done()
      else void (result as Promise<unknown>).then(done)
    })
  }
  return {
    burst(from, to) {
      // A message is one object with its topic beside the data, as its users write it.
      for (let id = from; id < to; id++) emitter.emit({ topic: SLASHED, id, data: 'payload' })
    },
  }
}

/** As it comes: the first call runs inside the publisher's, and handlers overlap. */
export const mqemitterOverlapping: Peer = {
  name: 'mqemitter',
  kind: 'peer',
  does: { handOver: false, waits: 'each', isolates: false, envelope: false },
  open: (handlers, kind) => open(0, handlers, kind),
}

/** One message at a time: the next waits until the handlers of the last have called back. */
export const mqemitterInOrder: Peer = {
  name: 'mqemitter, concurrency 1',
  kind: 'peer',
  does: { handOver: false, waits: 'in order', isolates: false, envelope: false },
  open: (handlers, kind) => open(1, handlers, kind),
}
