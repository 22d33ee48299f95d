import type { Bus } from '../bus/bus.ts'
import type { Chunk, Publisher, RequestOptions, RequestStreamOptions } from '../bus/publisher.ts'
import type { StreamOptions } from '../bus/streams.ts'
import { anObject, aText, checkOption } from '../kit/check.ts'
import { describeThrown } from '../kit/errors.ts'
import { Asker, type MessageBuilder, type RequestContext } from './ask.ts'
import type { Busy } from './busy.ts'
import type {
  Component,
  ComponentStream,
  EmitOptions,
  EmitResult,
  EventFunction,
  HookOptions,
  PipeOptions,
} from './component.ts'
import type { Emitter } from './emitter.ts'
import { STREAM_PREFIX, streamIdOf } from './envelope.ts'
import type { SwarmFault } from './fault.ts'
import { frameOf } from './frame.ts'
import type { Member } from './member.ts'
import type { Measures } from './performance.ts'
import type { Role } from './role.ts'
import { ScopedBus } from './scoped-bus.ts'

/** What a component needs of its swarm. */
export interface LiveHost {
  readonly bus: Bus
  readonly emitter: Emitter
  targetsOf(name: string): readonly string[]
  names(): Iterable<string>
  fault(fault: SwarmFault): void
  /** Counts what belongs to no open handling. */
  measured(member: Member, session: string | undefined, figures: Measures): void
  readonly busy: Busy
}

/** A component as its own code sees it. */
export class LiveComponent implements Component {
  readonly name: string
  readonly kind: string
  readonly role: Role
  readonly bus: Publisher
  readonly #member: Member
  readonly #host: LiveHost
  readonly #asker: Asker

  constructor(member: Member, host: LiveHost) {
    this.name = member.name
    this.kind = member.kind
    this.role = member.role
    this.bus = new ScopedBus(host.bus, member.name)
    this.#member = member
    this.#host = host
    this.#asker = new Asker(this.bus, () => host.names(), member.counts)
  }

  get session(): string | undefined {
    return frameOf(this.#host.bus)?.session
  }

  get targets(): readonly string[] {
    return this.#host.targetsOf(this.name)
  }

  emit(event: string, payload: unknown, options?: EmitOptions): Promise<EmitResult> {
    if (typeof event !== 'string' || event === '') {
      try {
        checkOption('emit', 'event', event, aText)
      } catch (error) {
        return Promise.reject(error as Error)
      }
    }
    return this.#host.emitter.emit(this.#member, event, payload, options)
  }

  emitSoon(event: string, payload: unknown, options?: EmitOptions): void {
    this.#host.busy.began()
    this.emit(event, payload, options)
      .catch((error: unknown) => {
        const message = `"${event}" of "${this.name}" was not emitted: ${describeThrown(error)}`
        this.#host.fault({ type: 'emit', component: this.name, event, message, error })
      })
      .finally(() => this.#host.busy.ended())
  }

  send(target: string, event: string, payload: unknown, options?: EmitOptions): Promise<EmitResult> {
    return this.emit(event, payload, { ...options, target })
  }

  on(event: string, run: EventFunction): () => void {
    return this.#member.table.on(event, run)
  }

  hook(event: string, run: EventFunction, options?: HookOptions): () => void {
    return this.#member.table.hook(event, run, options)
  }

  pipe(event: string, run: EventFunction, options?: PipeOptions): () => void {
    return this.#member.table.pipe(event, run, options)
  }

  off(event: string, run: EventFunction): boolean {
    return this.#member.table.off(event, run)
  }

  request(target: string, data: unknown, options?: RequestOptions): Promise<unknown> {
    return this.#asker.request(target, data, options)
  }

  requestMultiple(
    requests: readonly (readonly [target: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<readonly unknown[]> {
    return this.#asker.requestMultiple(requests, options)
  }

  requestStream(target: string, data: unknown, options?: RequestStreamOptions): AsyncIterable<Chunk> {
    return this.#asker.requestStream(target, data, options)
  }

  message(): MessageBuilder {
    return this.#asker.message()
  }

  requestContext(target: string, options?: RequestOptions): RequestContext {
    return this.#asker.requestContext(target, options)
  }

  openStream(options: StreamOptions = {}): ComponentStream {
    const { session } = this
    const own = session === undefined ? { source: this.name } : { source: this.name, session }
    const stream = this.#host.bus.streams.open({ ...own, ...options })
    return { ...stream, reference: `${STREAM_PREFIX}${stream.id}` }
  }

  readStream(reference: string): AsyncIterable<Chunk> {
    checkOption('readStream', 'reference', reference, aText)
    return this.#host.bus.streams.read(streamIdOf(reference) ?? reference)
  }

  measure(figures: Measures): void {
    checkOption('measure', 'figures', figures, anObject)
    const frame = frameOf(this.#host.bus)
    // What is counted when no handling is open, before the first message or behind the last, counts as well.
    if (frame?.work?.isOver === false) (frame.work.measures ??= []).push(figures)
    else this.#host.measured(this.#member, frame?.session, figures)
  }
}
