import { anObject, checkOption } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import type { Core } from './core.ts'
import type { Handler } from './handler.ts'
import { Inbox } from './inbox.ts'
import type { Publisher } from './publisher.ts'
import type { Sender } from './sender.ts'
import type { LiveSubscription, PatternOf, SubscribeOptions, Subscription } from './subscription.ts'
import { NOBODY, type Subscriptions } from './subscriptions.ts'
import { Verbs } from './verbs.ts'

/** The verbs of a bus inside one conversation: what it sends belongs to the session, what it hears is of the session only. */
export interface Session extends Publisher, AsyncDisposable {
  readonly id: string
  readonly active: boolean
  subscribe<T>(pattern: PatternOf<T>, handler: Handler<T>, options?: Omit<SubscribeOptions, 'session'>): Subscription
  inbox(pattern: PatternOf<never>, options?: Omit<SubscribeOptions, 'session'>): Inbox & Disposable
  /** Finishes what waits for its subscriptions, then ends them. Sending afterwards rejects with SESSION_ENDED. */
  close(): Promise<void>
}

/** A session scope; its subscriptions end with it. */
export class LiveSession extends Verbs implements Session {
  readonly id: string
  readonly #subscriptions: Subscriptions
  readonly #own = new Set<LiveSubscription>()
  active = true

  constructor(core: Core, sender: Sender, subscriptions: Subscriptions, id: string) {
    super(core, sender, {
      from: undefined,
      session: id,
      delivery: undefined,
      cause: undefined,
      ended: () => this.#ended(),
    })
    this.id = id
    this.#subscriptions = subscriptions
  }

  subscribe<T>(
    pattern: PatternOf<T>,
    handler: Handler<T>,
    options: Omit<SubscribeOptions, 'session'> = {},
  ): Subscription {
    this.#mustBeOpen()
    checkOption('subscribe', 'options', options, anObject)
    const made = this.#subscriptions.add(
      pattern as PatternOf<never>,
      handler as Handler,
      { ...options, session: this.id },
      NOBODY,
    )
    this.#own.add(made)
    return made
  }

  inbox(pattern: PatternOf<never>, options: Omit<SubscribeOptions, 'session'> = {}): Inbox & Disposable {
    this.#mustBeOpen()
    checkOption('inbox', 'options', options, anObject)
    const made = this.#subscriptions.addInbox(pattern, { ...options, session: this.id })
    this.#own.add(made)
    return disposableInbox(this.core, made)
  }

  async close(): Promise<void> {
    if (!this.active) return
    this.active = false
    // An inbox has no handler that could empty it: what waits there is dropped, and reported.
    const ends = [...this.#own].map(async (one) => {
      if (one.member === undefined) one.unsubscribe()
      else await one.drain()
    })
    await Promise.all(ends)
    this.#own.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #mustBeOpen(): void {
    const error = this.#ended()
    if (error !== undefined) throw error
  }

  #ended(): BusError | undefined {
    if (this.active) return undefined
    return new BusError('SESSION_ENDED', `session "${this.id}" has ended`, { details: { session: this.id } })
  }
}

/** An inbox that ends with its subscription. */
export function disposableInbox(core: Core, subscription: LiveSubscription): Inbox & Disposable {
  const inbox = new Inbox(core, subscription.queue, subscription.name)
  subscription.onEnd = () => inbox.end(new BusError('SUBSCRIPTION_ENDED', `inbox "${subscription.name}" has ended`))
  return Object.assign(inbox, { [Symbol.dispose]: () => void subscription.unsubscribe() })
}
