import { BusError } from '../kit/errors.ts'
import { Deadline } from '../kit/timer-wheel.ts'
import { Envelope } from '../message/message.ts'
import type { Delivery } from './delivery.ts'

// Hot path. The one place where handlers are called: whatever they do costs only their own delivery.

const MOST_SPARE_RUNS = 1_024

/**
 * A pending handler: its time limit, and the two callbacks for its promise. Runs are used again, so that waiting for a promise makes
 * no closures; a run that overran its limit is left behind, because its promise may still call it.
 */
export class Run extends Deadline {
  delivery: Delivery | undefined = undefined
  /** Monotonic milliseconds at which the handler has used up its time. */
  limitMs = 0
  readonly onDone = (value: unknown): void => {
    const delivery = this.#release()
    if (delivery !== undefined) delivery.end('handled', value, undefined, undefined)
  }
  readonly onFail = (error: unknown): void => {
    const delivery = this.#release()
    if (delivery !== undefined) delivery.end('failed', undefined, 'handler-error', error)
  }

  begin(delivery: Delivery): void {
    this.delivery = delivery
    delivery.run = this
    const limitMs = delivery.startedMs + delivery.member.timeoutMs
    const deadlineMs = Envelope.deadlineMs(delivery.message)
    this.limitMs = limitMs
    delivery.host.wheel.add(this, limitMs < deadlineMs ? limitMs : deadlineMs, delivery.startedMs)
  }

  extend(limitMs: number): void {
    const delivery = this.delivery
    if (delivery === undefined) return
    const nowMs = delivery.host.clock.readMs()
    this.limitMs = nowMs + limitMs
    delivery.host.wheel.add(this, this.limitMs, nowMs)
  }

  override onDue(): void {
    const delivery = this.delivery
    if (delivery === undefined) return
    const host = delivery.host
    if (this.dueMs < this.limitMs) {
      // The message's own deadline: its sender has given up, the handler may still finish what it began.
      delivery.abort(new BusError('MESSAGE_EXPIRED', `the deadline of "${delivery.message.topic}" passed while it was handled`))
      host.wheel.add(this, this.limitMs, host.clock.readMs())
      return
    }
    this.delivery = undefined
    delivery.run = undefined
    const limitMs = this.limitMs - delivery.startedMs
    const error = new BusError(
      'HANDLER_TIMEOUT',
      `handler "${delivery.name}" ran longer than ${Math.round(limitMs)} ms on "${delivery.message.topic}"`,
      { details: { name: delivery.name, topic: delivery.message.topic, limitMs } },
    )
    host.overran(delivery, limitMs)
    delivery.abort(error)
    delivery.end('failed', undefined, 'handler-timeout', error)
  }

  #release(): Delivery | undefined {
    const delivery = this.delivery
    if (delivery === undefined) return undefined
    const host = delivery.host
    host.wheel.remove(this)
    this.delivery = undefined
    delivery.run = undefined
    if (host.runs.length < MOST_SPARE_RUNS) host.runs.push(this)
    return delivery
  }
}

/**
 * Calls the handler of a delivery. Never throws; the delivery's owner is told how it ended, now or later. A handler that returned at
 * once with nothing to say is the common case: then nobody is told anything, and the answer is true.
 */
export function invoke(delivery: Delivery): boolean {
  let result: unknown
  try {
    result = delivery.member.handler(delivery.message, delivery)
    if (result === undefined && !delivery.counted) return true
    // Looking at a result can throw too: a revoked Proxy, a `then` that is a trap.
    if (typeof result === 'object' && result !== null) {
      if (typeof (result as PromiseLike<unknown>).then === 'function') {
        awaitResult(delivery, result as PromiseLike<unknown>)
        return false
      }
      if (typeof (result as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function') {
        delivery.owner.count(delivery)
        awaitResult(delivery, delivery.host.stream(delivery, result as AsyncIterable<unknown>))
        return false
      }
    }
  } catch (error) {
    if (delivery.run === undefined) delivery.end('failed', undefined, 'handler-error', error)
    else delivery.run.onFail(error)
    return false
  }
  delivery.end('handled', result, undefined, undefined)
  return false
}

function awaitResult(delivery: Delivery, result: PromiseLike<unknown>): void {
  delivery.owner.count(delivery)
  const run = delivery.host.runs.pop() ?? new Run()
  run.begin(delivery)
  // A foreign thenable may call back twice; a native promise never does, and a run serves the next delivery afterwards.
  const promise = result instanceof Promise ? result : Promise.resolve(result)
  promise.then(run.onDone, run.onFail)
}
