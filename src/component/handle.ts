import type { Bus } from '../bus/bus.ts'
import type { Context, Handler } from '../bus/handler.ts'
import type { StreamWriter } from '../bus/streams.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'
import type { Emitter } from './emitter.ts'
import { eventOf, STOPPED_HEADER, STREAM_HEADER, STREAM_PREFIX, streamIdOf } from './envelope.ts'
import { type Frame, type Work, within } from './frame.ts'
import { RESULT_MARK } from './mark.ts'
import { type Member, producesOf } from './member.ts'
import { collected, eachPart, inFrame, isParts, isThenable, joined } from './parts.ts'
import { type Measures, sumOf, type Taken } from './performance.ts'

// Hot path: one `Handling` for each message, and what most of them never need is made on demand.

/** What the handling of messages needs of its swarm. */
export interface HandleHost {
  readonly bus: Bus
  readonly emitter: Emitter
  targetsOf(name: string): readonly string[]
  /** True for a component of this process that takes streams. */
  takesStreams(name: string): boolean
  /** A handling begins. */
  takes(member: Member, message: Message): void
  /** Should it fail, somebody else tells of it. */
  told(message: Message): void
  /** One handling is over. */
  took(member: Member, session: string | undefined, taken: Taken): void
  nowMs(): number
}

/** The handler of a component: what comes is handled by its behaviour, and what that returns is the answer, or goes on to the targets. */
export function handlerOf(member: Member, host: HandleHost): Handler {
  return (message, context) => {
    if (message.headers[STOPPED_HEADER] !== undefined) {
      host.told(message)
      const work: Work = { measures: undefined, marks: undefined, isOver: false }
      return within(frameOf(member, host, message, context, work), () =>
        host.emitter.again(member, eventOf(message) ?? producesOf(member.behaviour), message.data, message.headers),
      )
    }
    return new Handling(member, host, message, context).run()
  }
}

function frameOf(member: Member, host: HandleHost, message: Message, context: Context, work: Work): Frame {
  const { name: component, kind } = member
  return { bus: host.bus, component, kind, session: message.session, message, context, depth: 0, work }
}

/** One message in the hands of a component. */
class Handling implements Work {
  measures: Measures[] | undefined = undefined
  marks: Map<string, number> | undefined = undefined
  isOver = false
  readonly #member: Member
  readonly #host: HandleHost
  readonly #frame: Frame
  readonly #message: Message
  readonly #context: Context
  readonly #startedMs: number

  constructor(member: Member, host: HandleHost, message: Message, context: Context) {
    this.#member = member
    this.#host = host
    this.#frame = frameOf(member, host, message, context, this)
    this.#message = message
    this.#context = context
    this.#startedMs = host.nowMs()
    host.takes(member, message)
  }

  run(): unknown {
    const { behaviour, handle, name, kind } = this.#member
    if (handle === undefined) {
      // What goes to everybody asks nothing of anybody.
      if (this.#message.to === undefined) return this.#over(false)
      this.#over(true)
      throw new BusError('UNSUPPORTED', `"${name}" (${kind}) takes no messages`, { details: { component: name, kind } })
    }
    const stream = behaviour?.streamingInput === true ? undefined : streamIdOf(this.#message.data)
    return stream === undefined ? this.#handle(handle, this.#message) : this.#handleCollected(handle, stream)
  }

  #handle(handle: Handler, message: Message): unknown {
    let result: unknown
    try {
      result = within(this.#frame, () => handle(message, this.#context))
    } catch (error) {
      this.#over(true)
      throw error
    }
    if (isParts(result)) return this.#settle(result)
    if (isThenable(result)) return this.#later(result)
    if (result === undefined || message.replyTo !== undefined) {
      this.#over(false)
      return result
    }
    return this.#settle(result)
  }

  /** The whole of a stream, for a component that takes none. */
  async #handleCollected(handle: Handler, stream: string): Promise<unknown> {
    const chunks: unknown[] = []
    try {
      await eachPart(this.#host.bus.streams.read(stream), this.#context, (chunk) => {
        const { data, final } = chunk as { readonly data: unknown; readonly final: boolean }
        if (!final || data !== undefined) chunks.push(data)
      })
    } catch (error) {
      this.#over(true)
      throw error
    }
    return this.#handle(handle, withData(this.#message, joined(chunks)))
  }

  async #later(promise: PromiseLike<unknown>): Promise<unknown> {
    let result: unknown
    try {
      result = await promise
    } catch (error) {
      this.#over(true)
      throw error
    }
    if (result === undefined || (this.#message.replyTo !== undefined && !isParts(result))) {
      this.#over(false)
      return result
    }
    return this.#settle(result)
  }

  /** Parts of a request, or anything that was routed. */
  #settle(result: unknown): unknown {
    if (this.#message.replyTo === undefined) return this.#finish(this.#emit(result))
    const parts = result as AsyncIterable<unknown>
    if (this.#message.headers[STREAM_HEADER] !== undefined)
      return inFrame(this.#frame, parts, (failed) => this.#over(failed))
    return this.#finish(this.#collect(parts))
  }

  async #finish(work: Promise<unknown>): Promise<unknown> {
    let hasFailed = true
    try {
      const value = await work
      hasFailed = false
      return value
    } finally {
      this.#over(hasFailed)
    }
  }

  #collect(parts: AsyncIterable<unknown>): Promise<unknown> {
    return collected(
      inFrame(this.#frame, parts, () => undefined),
      this.#context,
    )
  }

  /** The result goes on: at once as a stream where that is wanted, and whole everywhere else. Its answer is none. */
  async #emit(result: unknown): Promise<undefined> {
    const member = this.#member
    const event = producesOf(member.behaviour)
    const send = async (payload: unknown, targets?: readonly string[]): Promise<void> => {
      const options = targets === undefined ? { mark: RESULT_MARK } : { mark: RESULT_MARK, targets }
      await within(this.#frame, () => this.#host.emitter.emit(member, event, payload, options))
    }
    if (!isParts(result)) {
      await send(result)
      return undefined
    }
    const { targetsOf, takesStreams } = this.#host
    const targets = targetsOf(member.name)
    // A pipe must see the whole before anybody else does.
    const mayStream = member.behaviour?.streamingOutput === true && member.view.of(event).pipes.length === 0
    const streaming = mayStream ? targets.filter(takesStreams) : []
    if (streaming.length === 0) {
      await send(await this.#collect(result))
      return undefined
    }
    const { whole, reached } = await this.#pour(result, event, streaming)
    await send(
      whole,
      targets.filter((one) => !reached.has(one)),
    )
    return undefined
  }

  /** Hands parts on to each of the targets by a stream of its own; tells all parts together, and who was reached. */
  async #pour(
    parts: AsyncIterable<unknown>,
    event: string,
    targets: readonly string[],
  ): Promise<{ readonly whole: unknown; readonly reached: ReadonlySet<string> }> {
    const open = new Map<string, StreamWriter>()
    const all: unknown[] = []
    try {
      for (const target of targets) await this.#open(target, event, open)
      const reached = new Set(open.keys())
      await eachPart(
        inFrame(this.#frame, parts, () => undefined),
        this.#context,
        async (part) => {
          all.push(part)
          for (const [target, stream] of open) {
            // A reader that is gone is no reason to keep the others waiting.
            await stream.write(part).catch(() => open.delete(target))
          }
        },
      )
      for (const stream of open.values()) stream.complete()
      return { whole: joined(all), reached }
    } catch (error) {
      for (const stream of open.values()) stream.fail(error)
      throw error
    }
  }

  /** Opens a stream for a target that takes its reference. It ends when the target has handled it without reading it to the end. */
  async #open(target: string, event: string, open: Map<string, StreamWriter>): Promise<void> {
    const { bus, emitter } = this.#host
    const member = this.#member
    const { session } = this.#message
    const stream = bus.streams.open({ source: member.name, target, ...(session === undefined ? {} : { session }) })
    const reference = `${STREAM_PREFIX}${stream.id}`
    const sent = await within(this.#frame, () => emitter.outlet.sendReference(member, target, event, reference))
    if (sent === undefined) {
      bus.streams.cancel(stream.id, 'not taken')
      return
    }
    open.set(target, stream)
    void sent.over.then(() => {
      if (stream.info().readers === 0) bus.streams.cancel(stream.id, 'its reader has gone')
    })
  }

  #over(hasFailed: boolean): void {
    if (hasFailed) {
      this.#member.counts.handlingFailures++
      if (this.#message.replyTo !== undefined) this.#host.told(this.#message)
    }
    this.isOver = true
    const taken = sumOf(this.#host.nowMs() - this.#startedMs, this.measures)
    this.#host.took(this.#member, this.#frame.session, taken)
  }
}

/** The same message with other data. */
function withData(message: Message, data: unknown): Message {
  const { id, topic, from, to, session, priority, time, expiresAt } = message
  const { correlationId, causationId, rootId, hops, replyTo, headers } = message
  const own = { id, topic, data, from, to, session, priority, time, expiresAt, correlationId }
  return Object.freeze({ ...own, causationId, rootId, hops, replyTo, headers })
}
