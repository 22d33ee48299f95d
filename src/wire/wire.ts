import type { Watch } from '../broker/watch.ts'

/** What carries live messages between processes: broadcasts, inboxes, presence. Nothing is kept; who is not there misses it. */
export interface Wire extends AsyncDisposable {
  readonly name: string
  /** Whether it is connected, for wires that may lose their connection. */
  readonly watch?: Pick<Watch, 'isUp' | 'on'>
  /**
   * Hands a frame over and returns; the bytes are copied, the caller may use them again. Frames of one wire arrive everywhere in the
   * order of these calls. Throws INVALID_TOPIC, QUEUE_FULL when more waits than the wire may hold, BUS_CLOSED after disposal.
   */
  publish(topic: string, frame: Uint8Array): void
  /**
   * Calls `onFrame` for every frame whose topic fits the pattern (`*` one token, a last `>` one or more), with bytes of its own.
   * What it throws costs only this call. Throws INVALID_TOPIC, BUS_CLOSED after disposal.
   */
  subscribe(pattern: string, onFrame: OnFrame): WireSubscription
}

/** Takes a frame; must not block. */
export type OnFrame = (topic: string, frame: Uint8Array) => void

/** Ends by `unsubscribe`, by disposal, or with its wire. */
export interface WireSubscription extends Disposable {
  readonly pattern: string
  /** Resolves when every frame that anybody publishes from now on arrives; rejects if that will never be so. */
  readonly ready: Promise<void>
  /** Ends at once: no call after this one returns, not even for frames under way. False when it had ended already. */
  unsubscribe(): boolean
}

/** What every adapter can be told. */
export interface WireOptions {
  /** True: subscriptions of this wire get its own frames too. Default false, for the bus serves its own process by itself. */
  readonly echo?: boolean
  /** Most frames that wait to be handed over. Default 65 536. */
  readonly limit?: number
  /** Told what an `onFrame` threw. What it throws itself is ignored. */
  readonly onError?: (error: unknown, topic: string) => void
}
