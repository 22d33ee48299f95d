import type { Clock } from '../kit/clock.ts'
import type { Env } from '../kit/env.ts'
import type { TimerWheel } from '../kit/timer-wheel.ts'
import type { AckLevel } from '../log/log.ts'
import type { Envelope, Message } from '../message/message.ts'
import type { Ack, FailureReason } from './ack.ts'
import type { EventName } from './announce.ts'
import type { Delivery, Note } from './delivery.ts'
import type { Handler } from './handler.ts'
import type { KeptLedger, KeptVerbs } from './kept-verbs.ts'
import type { Queue } from './queue.ts'

// What a bus with a log asks of whoever keeps its messages. Floor 3 knows only this; `worker/keeper.ts` is the one that does it.

/** Where reading a kept channel begins: the first message still kept, the present, a place told by an ack, or a wall-clock time. */
export type StartFrom =
  | 'first'
  | 'now'
  | { readonly offset: string }
  | { readonly after: string }
  | { readonly time: number }

/** How a publish to a kept channel is stored. */
export interface KeepOptions {
  /** Compared within the duplicate window; default: the message's id. */
  readonly key: string | undefined
  readonly delayMs: number | undefined
}

/** A message that is kept now. */
export interface KeptAck {
  readonly id: Message['id']
  readonly level: AckLevel
  readonly offset: string
  readonly duplicate: boolean
}

/** A channel whose messages are kept. */
export interface KeptChannel {
  readonly name: string
  /** Resolves once the message is kept, with what `answer` makes of that. Throws what the log throws. */
  append(message: Envelope, options: KeepOptions | undefined, answer: (stored: KeptAck) => Ack): Promise<Ack>
  /**
   * Tells the note how each group that gets the message ends with it, once, for good: groups that are served by this process, or by one
   * that it knows. Returns how many groups that is. Called before the append.
   */
  expect(message: Envelope, note: Note): number
  /** The message was not kept after all. */
  forget(message: Envelope): void
}

/** What binds a queue to kept channels. */
export interface KeptQueue {
  readonly patterns: readonly string[]
  readonly queue: Queue
  /** The group; undefined for a subscription that reads on its own. */
  readonly group: string | undefined
  readonly session: string | undefined
  readonly sender: string | undefined
  readonly filter: ((message: Message) => boolean) | undefined
  readonly from: StartFrom | undefined
  /** Milliseconds after which a message is too old for it. */
  readonly maxAgeMs: number | undefined
}

/** A queue that is served from the log. */
export interface KeptBinding {
  /** Takes nothing more out of the log; what the queue has in hand is not touched. */
  pause(): void
  /** Put around each handler of the queue, outside of all middleware. */
  wrap(handler: Handler): Handler
  /** Ends for good: what is in hand goes back to the log. Resolves once it has. */
  end(): Promise<void>
}

/** What whoever keeps messages has counted. */
export interface KeptFigures {
  /** The name of the log, and what its messages survive. */
  readonly log: string
  readonly level: AckLevel
  /** Failed handlings after which another try followed, since the start. */
  readonly retried: number
  /** Messages that became dead letters, since the start; of those, the ones that had used up their attempts. */
  readonly deadLettered: number
  readonly exhausted: number
  /** Messages that wait for another try, or for their time, at most a second ago. */
  readonly retrying: number
  /** Dead letters that nobody redrove or discarded, at most a second ago. */
  readonly deadLetters: number
  /** Above so many of them the bus is unhealthy. */
  readonly deadLettersAllowed: number
  /** What does not get on because of the log, and why; over 5 s after it last failed. */
  readonly faults: readonly string[]
  /** Why the broker cannot be reached at the moment. */
  readonly down: string | undefined
}

/** Keeps the messages of a bus. */
export interface Keeper extends KeptVerbs {
  /** The channel of a topic; undefined when its messages are live. */
  channel(topic: string): KeptChannel | undefined
  /** True when some topic of the pattern is kept. */
  keeps(pattern: string): boolean
  /** Serves a queue from the log. */
  bind(what: KeptQueue): KeptBinding
  /** Takes nothing more out of the log. */
  pause(): void
  resume(): void
  /** The ledgers of all kept channels as they were when somebody last asked, at most a second before the call. */
  ledgers(): Readonly<Record<string, KeptLedger>>
  figures(): KeptFigures
  /** Messages that groups have still to handle, counted now; undefined when the log does not say, or a broker not within the limit. */
  unsettled(limitMs: number): Promise<number | undefined>
  /** What the keeper of another process says; it may be anything. */
  heard(from: string, fields: Readonly<Record<string, unknown>>): void
  /** Gives everything that is in hand back and waits until it is kept; for a broker that does not answer no longer than the limit. */
  close(limitMs: number): Promise<void>
}

/** What a note must know of a message that came out of a log. */
export interface KeptNote extends Note {
  readonly attempt: number
  /** Called before the handler: a promise must be awaited first. */
  begin(): Promise<void> | undefined
  /** True when the message stays in the hands of its queue and its session waits for it: {@link Queue.again} goes on. */
  hold(delivery: Delivery, reason: FailureReason, error: unknown): boolean
}

/** The other processes, as whoever keeps messages uses them. */
export interface FarVoice {
  /** The id of this process. */
  readonly id: string
  /** How many other processes are known. */
  readonly others: number
  /** Says something to one process, or to all. False when it could not be said. */
  say(to: string | undefined, fields: object): boolean
  /** The groups of other processes that get messages like this one out of the log; "inbox" for an agent that is registered there. */
  keepers(message: Message): ReadonlySet<string>
}

/** What a keeper may use of the bus that it keeps messages for. */
export interface KeptHost {
  readonly env: Env
  /** Undefined for a bus without a wire. */
  readonly far: { readonly voice: FarVoice } | undefined
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly options: { readonly name: string }
  /** Where deliveries of a topic are counted. */
  accountOf(topic: string): object
  announce(event: EventName, fields: object): void
  /** Records a failure of a message that no queue has in hand. */
  fail(
    name: string,
    message: Envelope,
    outcome: 'failed' | 'expired' | 'dropped',
    reason: FailureReason,
    error: unknown,
  ): void
  /** Calls a user's function; what it throws is counted. */
  guard(run: () => void): void
  /** Sends an answer to whoever waits for it. */
  respond(request: Envelope, data: unknown, from: string | undefined, options: undefined): boolean
}
