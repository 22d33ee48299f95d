import { hash } from 'node:crypto'
import type { Ack } from '../bus/ack.ts'
import type { Bus } from '../bus/bus.ts'
import type { Publisher, SendOptions } from '../bus/publisher.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { pathOf } from '../message/message.ts'
import type { Priority } from '../message/priority.ts'
import type { Busy } from './busy.ts'
import { headersFor } from './envelope.ts'
import { type Frame, frameOf, verbsAt } from './frame.ts'
import type { Member } from './member.ts'

// Hot path: a live bus is asked with as little as possible around it.

/** What the sending to targets needs of its swarm. */
export interface OutletHost {
  readonly bus: Bus
  readonly busy: Busy
  /** Most messages in a chain. */
  readonly hopLimit: number
  /** True when the bus has a log: then its receipts say when a message is over. */
  readonly isKept: boolean
  /** True for a component of this process. */
  isOwn(name: string): boolean
}

/** How an event goes to a target. */
export interface Sending {
  readonly session?: string
  readonly priority?: Priority
  /** What of the handling it is: see `mark.ts`. */
  readonly mark?: string
}

/** Sends what components emit, each target on its own. */
export class Outlet {
  readonly #host: OutletHost
  /** Targets whose inboxes no log keeps. */
  readonly #live = new Set<string>()

  constructor(host: OutletHost) {
    this.#host = host
  }

  /** The name may come again, for something else. */
  forget(target: string): void {
    this.#live.delete(target)
  }

  /** Resolves to what refused it, or to undefined. */
  send(
    member: Member,
    target: string,
    event: string,
    payload: unknown,
    { session: wanted, priority, mark }: Sending,
    frame: Frame | undefined,
  ): Promise<unknown> {
    const { bus, isKept, hopLimit } = this.#host
    const session = wanted ?? frame?.session
    const hops = frame?.message === undefined ? 0 : frame.message.hops + 1
    if (hops > hopLimit) return Promise.resolve(tooLong(target, hops, hopLimit, frame))
    const options: { -readonly [Key in keyof SendOptions]: SendOptions[Key] } = {
      from: member.name,
      headers: headersFor(event),
    }
    if (session !== undefined) options.session = session
    if (priority !== undefined) options.priority = priority
    try {
      const verbs = verbsAt(bus, frame)
      if (isKept) return this.#keep(verbs, target, payload, options, keyOf(member.name, mark, target, frame))
      return verbs.send(target, payload, options).then(taken, refused)
    } catch (error) {
      return Promise.resolve(refused(error))
    }
  }

  async #keep(
    verbs: Publisher,
    target: string,
    payload: unknown,
    options: SendOptions,
    key: string | undefined,
  ): Promise<unknown> {
    const { isOwn, busy } = this.#host
    const followed = { ...options, receipt: true }
    try {
      const ack = await (key === undefined || this.#live.has(target)
        ? verbs.send(target, payload, followed)
        : this.#sendOnce(verbs, target, payload, followed, key))
      // What is held waits for a component that is nowhere yet: that may take for ever.
      if (!ack.held) busy.sent(ack.receipt, !isOwn(target))
      return undefined
    } catch (error) {
      return refused(error)
    }
  }

  /** A handling that is done again emits the same again: a log keeps it once. A target whose inbox is live gets it each time. */
  async #sendOnce(
    verbs: Publisher,
    target: string,
    payload: unknown,
    options: SendOptions,
    idempotencyKey: string,
  ): Promise<Ack> {
    try {
      return await verbs.send(target, payload, { ...options, idempotencyKey })
    } catch (error) {
      if (!isBusError(error, 'UNSUPPORTED') || error.details.field !== 'idempotencyKey') throw error
      this.#live.add(target)
      return verbs.send(target, payload, options)
    }
  }

  /**
   * Sends the text that stands for a stream: nobody but its target sees it. Resolves to the promise of the end of its handling; to
   * undefined when the target did not take it.
   */
  async sendReference(
    member: Member,
    target: string,
    event: string,
    reference: string,
  ): Promise<{ readonly over: Promise<unknown> } | undefined> {
    const { bus, busy, isKept } = this.#host
    const frame = frameOf(bus)
    const { name: from, counts } = member
    try {
      const own = frame?.session === undefined ? {} : { session: frame.session }
      const options = { from, headers: headersFor(event), receipt: true, ...own }
      const { receipt = Promise.resolve() } = await verbsAt(bus, frame).send(target, reference, options)
      counts.sent++
      if (isKept) busy.sent(receipt, false)
      return { over: receipt }
    } catch {
      // The target gets the whole instead, or a dead letter does.
      return undefined
    }
  }
}

function taken(): undefined {
  return undefined
}

function refused(error: unknown): unknown {
  return error ?? new BusError('ROUTE_FAILED', 'the target did not take it')
}

const MOST_KEY = 256

/** Names one event of one handling for one target; undefined for what was not caused by a message. */
function keyOf(member: string, mark: string | undefined, target: string, frame: Frame | undefined): string | undefined {
  if (frame?.message === undefined || mark === undefined) return undefined
  const key = `${frame.message.id} ${mark} ${member} ${target}`
  return key.length > MOST_KEY ? hash('sha1', key, 'base64url') : key
}

function tooLong(target: string, hops: number, allowed: number, frame: Frame | undefined): BusError {
  const path = frame?.message === undefined ? [] : [...pathOf(frame.message), `agent.${target}`]
  return new BusError('HOP_LIMIT', `"${target}" would be hop ${hops}; allowed: ${allowed}`, {
    details: { topic: `agent.${target}`, hops, path, allowed },
  })
}
