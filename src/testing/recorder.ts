import type { Bus } from '../bus/bus.ts'
import type { PatternOf } from '../bus/subscription.ts'
import { aText, checkOption, checkOptions, milliseconds, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'

/** What is recorded, and what limits the waiting. */
export interface RecorderOptions {
  /** Default `recorder`. */
  readonly name?: string
  /** Only messages of this session. */
  readonly session?: string
  /** Where the time limit of `next` comes from. Default: the real clock, also for a bus with a simulated one. */
  readonly env?: Pick<Env, 'after'>
}

/** Messages that a test wants to look at. Ends by disposal; waiters are then refused. */
export interface Recorder<T = unknown> extends Disposable {
  /** Everything recorded since the start or the last `clear`, in order of arrival. */
  readonly messages: readonly Message<T>[]
  /**
   * Resolves with the next `count` messages (default 1) that no call of `next` was given yet, as soon as they are there. Rejects with
   * RECEIVE_TIMEOUT after `timeoutMs` (default 1 000), saying what came instead; what came then waits for the next call.
   */
  next(count?: number, options?: { readonly timeoutMs?: number }): Promise<readonly Message<T>[]>
  /** Forgets what was recorded, and what waits for `next`. */
  clear(): void
}

interface Waiter<T> {
  readonly count: number
  readonly resolve: (messages: readonly Message<T>[]) => void
  readonly reject: (error: BusError) => void
}

/** Records what is published on the pattern, as an onlooker: it answers nothing. Throws INVALID_TOPIC or INVALID_OPTION. */
export function recorder<T = unknown>(bus: Bus, pattern: PatternOf<T>, options: RecorderOptions = {}): Recorder<T> {
  const anEnv = {
    allowed: 'an object with "after"',
    ok: (value: unknown) => typeof (value as Env | null)?.after === 'function',
  }
  checkOptions('recorder', options, { name: aText, session: aText, env: anEnv })
  const { name = 'recorder', env = systemEnv() } = options
  const messages: Message<T>[] = []
  const waiters: Waiter<T>[] = []
  /** How many of `messages` were given out by `next`. */
  let given = 0

  function serve(): void {
    for (let first = waiters[0]; first !== undefined && messages.length - given >= first.count; first = waiters[0]) {
      waiters.shift()
      first.resolve(messages.slice(given, given + first.count))
      given += first.count
    }
  }
  const note = (message: Message<T>): void => {
    messages.push(message)
    serve()
  }
  const session = options.session === undefined ? {} : { session: options.session }
  const subscription = bus.subscribe(pattern, note, { name, observer: true, ...session })

  return {
    messages,
    async next(count = 1, { timeoutMs = 1_000 } = {}) {
      checkOption('next', 'count', count, whole(1))
      checkOption('next', 'timeoutMs', timeoutMs, milliseconds(0))
      if (!subscription.active && messages.length - given < count) throw ended(name)
      const { promise, resolve, reject } = Promise.withResolvers<readonly Message<T>[]>()
      const waiter: Waiter<T> = { count, resolve, reject }
      waiters.push(waiter)
      const timer = env.after(timeoutMs, () => {
        waiters.splice(waiters.indexOf(waiter), 1)
        const topics = messages.slice(given).map((message) => message.topic)
        reject(
          new BusError(
            'RECEIVE_TIMEOUT',
            `${topics.length} of ${count} messages came in ${timeoutMs} ms: ${topics.join(', ') || 'none'}`,
            {
              details: { name, count, came: topics.length },
            },
          ),
        )
        // A smaller wish behind this one may be met now.
        serve()
      })
      serve()
      try {
        return await promise
      } finally {
        timer.cancel()
      }
    },
    clear() {
      messages.length = 0
      given = 0
    },
    [Symbol.dispose]() {
      subscription.unsubscribe()
      for (const waiter of waiters.splice(0)) waiter.reject(ended(name))
    },
  }
}

function ended(name: string): BusError {
  return new BusError('SUBSCRIPTION_ENDED', `the recorder "${name}" has ended`, { details: { name } })
}
