import { checkOptions, milliseconds } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { Deadline } from '../kit/timer-wheel.ts'
import type { Message } from '../message/message.ts'
import type { Core } from './core.ts'
import type { Queue } from './queue.ts'
import type { Receiver } from './receivers.ts'

/** How long to wait for a message. */
export interface ReceiveOptions {
  /** Milliseconds to wait. Default: the bus's `receiveTimeoutMs` (30 000). 0: only what waits already. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const RULES = {
  timeoutMs: milliseconds(0),
  signal: { allowed: 'an AbortSignal', ok: (value: unknown) => value instanceof AbortSignal },
}

class Waiting extends Deadline implements Receiver {
  readonly answer = Promise.withResolvers<Message>()
  #over: (() => void) | undefined
  readonly #late: () => BusError

  constructor(late: () => BusError) {
    super()
    this.#late = late
  }

  /** `leave` takes this receiver out of the line, the wheel and off the caller's signal. */
  begin(leave: () => void): void {
    this.#over = leave
  }

  take(message: Message): boolean {
    if (!this.#end()) return false
    this.answer.resolve(message)
    return true
  }

  fail(error: BusError): void {
    if (this.#end()) this.answer.reject(error)
  }

  override onDue(): void {
    this.fail(this.#late())
  }

  #end(): boolean {
    const leave = this.#over
    this.#over = undefined
    leave?.()
    return leave !== undefined
  }
}

/** Messages taken by hand, highest level first; a message is handled when it was taken. */
export class Inbox {
  readonly name: string
  readonly #core: Core
  readonly #queue: Queue
  readonly #waiting = new Set<Waiting>()
  #ended: BusError | undefined = undefined

  constructor(core: Core, queue: Queue, name: string) {
    this.#core = core
    this.#queue = queue
    this.name = name
  }

  /** How many messages wait. */
  get size(): number {
    return this.#queue.size
  }

  /** How many receivers wait. */
  get receivers(): number {
    return this.#waiting.size
  }

  /** The next message. Rejects with RECEIVE_TIMEOUT, SUBSCRIPTION_ENDED or CANCELLED; the time covers all waiting inside the call. */
  async receive(options?: ReceiveOptions): Promise<Message> {
    if (options === undefined) return this.#next(this.#core.options.receiveTimeoutMs, undefined)
    checkOptions('receive', options, RULES)
    const timeoutMs = options.timeoutMs ?? this.#core.options.receiveTimeoutMs
    return this.#next(timeoutMs, options.signal)
  }

  /** Takes everything out; the messages are settled as dropped. Waiting receivers go on waiting. Returns how many went. */
  clear(): number {
    return this.#queue.clear('cancelled', new BusError('MESSAGE_DROPPED', `the inbox of "${this.name}" was cleared`))
  }

  /** Endless until the inbox ends or the loop is left; leaving ends a wait at once and takes no message. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    const left = new AbortController()
    const done: IteratorResult<Message> = { done: true, value: undefined }
    return {
      next: async () => {
        if (left.signal.aborted) return done
        try {
          return { done: false, value: await this.#next(Number.POSITIVE_INFINITY, left.signal) }
        } catch (error) {
          if (error === this.#ended || left.signal.aborted) return done
          throw error
        }
      },
      return: async () => {
        left.abort()
        return done
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  /** Ends every waiting receiver. */
  end(error: BusError): void {
    this.#ended = error
    for (const one of [...this.#waiting]) one.fail(error)
  }

  async #next(timeoutMs: number, signal: AbortSignal | undefined): Promise<Message> {
    if (this.#ended !== undefined) throw this.#ended
    const cancelled = (): BusError =>
      new BusError('CANCELLED', `receive for "${this.name}" was given up`, { cause: signal?.reason })
    if (signal?.aborted) throw cancelled()
    const ready = this.#queue.poll()
    if (ready !== undefined) return ready
    const late = (): BusError =>
      new BusError('RECEIVE_TIMEOUT', `no message for "${this.name}" within ${timeoutMs} ms`, {
        details: { name: this.name, timeoutMs },
      })
    if (timeoutMs === 0) throw late()
    const { wheel, clock } = this.#core
    const waiting = new Waiting(late)
    const leaveLine = this.#queue.await(waiting)
    const onAbort = (): void => waiting.fail(cancelled())
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#waiting.add(waiting)
    waiting.begin(() => {
      leaveLine()
      wheel.remove(waiting)
      signal?.removeEventListener('abort', onAbort)
      this.#waiting.delete(waiting)
    })
    const nowMs = clock.readMs()
    if (timeoutMs !== Number.POSITIVE_INFINITY) wheel.add(waiting, nowMs + timeoutMs, nowMs)
    return waiting.answer.promise
  }
}
