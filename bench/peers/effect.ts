import { type Data, dataOf } from '../harness/data.ts'
import type { Peer } from './peer.ts'

/** A fiber for each handler takes from the PubSub; one fiber publishes a burst. */
export const effectPubSub: Peer = {
  name: 'Effect PubSub',
  kind: 'peer',
  does: { handOver: true, waits: 'in order', isolates: false, envelope: false },
  async open(handlers, kind) {
    const { Effect, Exit, PubSub, Scope } = await import('effect')
    const scope = await Effect.runPromise(Scope.make())
    const pubsub = await Effect.runPromise(PubSub.bounded<Data>(16_384))
    for (const handle of handlers) {
      const subscription = await Effect.runPromise(Scope.provide(PubSub.subscribe(pubsub), scope))
      const call =
        kind === 'sync'
          ? (data: Data) => Effect.sync(() => handle(data))
          : (data: Data) => Effect.promise(() => handle(data) as Promise<unknown>)
      Effect.runFork(Effect.forever(Effect.flatMap(PubSub.take(subscription), call)))
    }
    return {
      burst(from, to) {
        const publishing = Effect.gen(function* () {
          for (let id = from; id < to; id++) yield* PubSub.publish(pubsub, dataOf(id))
        })
        return Effect.runPromise(publishing)
      },
      close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
    }
  },
}
