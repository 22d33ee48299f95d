import type { NatsLink } from '../broker/nats/link.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import type { OnFrame } from './wire.ts'

/** One subscription of a wire. */
export interface Interest {
  readonly onFrame: OnFrame
  readonly active: boolean
  readonly ready: Promise<void>
  end(): boolean
}

/** The subscriptions of a wire, those of one subject together: the server sends each frame once for each of its own. */
export interface NatsInterests {
  add(subject: string, onFrame: OnFrame): Interest
  /** Those that are not ready reject. */
  close(): void
}

/** What happens to a frame that came for some of the subscriptions. */
export type Receive = (interests: Iterable<Interest>, subject: string, bytes: Uint8Array) => void

interface Shared {
  readonly interests: Set<Interest>
  /** Settles once the server sends what is published; rejects when it will not. */
  readonly ready: Promise<void>
  end(why: BusError): void
}

/** Subscriptions at the server; the client makes them anew when the connection is back. */
export function natsInterests(link: NatsLink, receive: Receive): NatsInterests {
  const { connection, watch } = link
  const subjects = new Map<string, Shared>()
  let closed = false
  let asked: Promise<void> | undefined
  let wakers: (() => void)[] = []
  const watcher = watch.on(({ type }) => {
    if (type !== 'restored') return
    wake()
  })

  function wake(): void {
    const all = wakers
    wakers = []
    for (const run of all) run()
  }

  /** Resolves once the server has read what was sent before. Subscriptions made in one go share the question. */
  function confirmed(): Promise<void> {
    asked ??= (async () => {
      await Promise.resolve()
      asked = undefined
      for (;;) {
        if (closed) return
        if (
          watch.isUp &&
          (await connection.flush().then(
            () => true,
            () => false,
          ))
        )
          return
        if (connection.isClosed()) throw new BusError('BROKER_UNREACHABLE', 'the connection to NATS is closed')
        // A flush may fail a moment before its loss is told; then this waits for the return that follows it.
        if (!closed) await new Promise<void>((resolve) => void wakers.push(resolve))
      }
    })()
    return asked
  }

  function open(subject: string): Shared {
    const interests = new Set<Interest>()
    let refuse: (why: BusError) => void = () => undefined
    const ended = new Promise<never>((_, reject) => {
      refuse = reject
    })
    const subscription = connection.subscribe(subject, {
      callback(error, message) {
        if (error === null) return receive(interests, message.subject, message.data)
        subjects.delete(subject)
        refuse(
          isBusError(error)
            ? error
            : new BusError('BROKER_REFUSED', `NATS refuses the subscription: ${error.message}`, {
                cause: error,
                details: { subject },
              }),
        )
      },
    })
    const ready = Promise.race([ended, confirmed()])
    // Who does not ask for it is not to be told by a crash.
    ready.catch(() => undefined)
    return {
      interests,
      ready,
      end(why) {
        if (subjects.get(subject)?.interests === interests) subjects.delete(subject)
        if (!connection.isClosed() && !subscription.isClosed()) subscription.unsubscribe()
        refuse(why)
      },
    }
  }

  return {
    add(subject, onFrame) {
      const shared = subjects.get(subject) ?? open(subject)
      subjects.set(subject, shared)
      let active = true
      let leave: (why: BusError) => void = () => undefined
      const left = new Promise<never>((_, reject) => {
        leave = reject
      })
      const ready = Promise.race([left, shared.ready])
      ready.catch(() => undefined)
      const interest: Interest = {
        onFrame,
        ready,
        get active() {
          return active
        },
        end() {
          if (!active) return false
          active = false
          const why = new BusError('SUBSCRIPTION_ENDED', 'the subscription ended before it was ready')
          shared.interests.delete(interest)
          if (shared.interests.size === 0) shared.end(why)
          leave(why)
          return true
        },
      }
      shared.interests.add(interest)
      return interest
    },

    close() {
      closed = true
      watcher[Symbol.dispose]()
      wake()
    },
  }
}
