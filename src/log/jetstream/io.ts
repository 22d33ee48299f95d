import { askAgain } from '../../broker/nats/ask-again.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import type { Env, Timer } from '../../kit/env.ts'
import { BusError, describeThrown } from '../../kit/errors.ts'

// Hot path: `publish` runs once for each message. One subscription takes all acknowledgements, and one timer looks after all of them.

type Headers = NonNullable<NonNullable<Parameters<NatsLink['connection']['publish']>[2]>['headers']>
type Message = Awaited<ReturnType<NatsLink['ask']>>

/** Where JetStream has put a record. */
export interface Stored {
  readonly seq: number
  readonly duplicate: boolean
}

/** What JetStream answers when it refuses. */
export interface ApiFault {
  readonly code: number
  readonly err_code?: number
  readonly description?: string
}

/** A stream as JetStream describes it. */
export interface StreamDetails {
  readonly created: string
  /** Of a server in a cluster; without a leader the copies are just choosing one, and the state is not told. */
  readonly cluster?: { readonly leader?: string }
  readonly config: {
    readonly name: string
    readonly description?: string
    readonly subjects?: readonly string[]
    readonly num_replicas?: number
    readonly storage?: 'file' | 'memory'
    readonly allow_direct?: boolean
  }
  readonly state: { readonly messages: number; readonly first_seq: number; readonly last_seq: number }
}

/** A record as it lies in a stream. */
export interface Kept {
  readonly seq: number
  readonly subject: string
  readonly data: Uint8Array
  header(name: string): string | undefined
}

type Which = { readonly seq: number; readonly next_by_subj?: string } | { readonly last_by_subj: string }

interface KeptAnswer {
  readonly message?: {
    readonly seq: number
    readonly subject: string
    readonly hdrs?: string
    readonly data?: string
  }
}

/** Codes of JetStream. */
export const NO_STREAM = 10_059
export const NAME_IN_USE = 10_058
export const SUBJECTS_IN_USE = 10_065
export const WRONG_SEQUENCE = 10_071
const NO_MESSAGE = 10_037
const FULL = new Set([10_077, 10_023, 10_047, 10_028, 10_054, 10_031, 10_002])

interface Pending {
  readonly untilMs: number
  readonly resolve: (answer: Message) => void
  readonly reject: (error: BusError) => void
}

const SWEEP_MS = 100
const NOT_FOUND = 404
const MOST_TRIES = 6
const TRY_MS = 10
const LONGEST_TRY_MS = 200
/** So long a new leader may need to make its own what its followers had acknowledged already. */
const LEADER_TRY_MS = 30

/** What the records and questions of a log go through. */
export class Io {
  readonly link: NatsLink
  readonly env: Env
  readonly timeoutMs: number
  readonly #pending = new Map<string, Pending>()
  /** Streams of which there is one copy. */
  readonly #direct = new Set<string>()
  readonly #inbox: string
  readonly #acks: { unsubscribe(): void }
  readonly #watching: Disposable
  #sweep: Timer | undefined
  #count = 0

  constructor(link: NatsLink, env: Env, timeoutMs: number) {
    this.link = link
    this.env = env
    this.timeoutMs = timeoutMs
    this.#inbox = `${this.inbox()}.`
    this.#acks = link.connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => this.#ack(error, message),
    })
    this.#watching = link.watch.on((event) => {
      if (event.type === 'lost') this.#fail('the connection was lost before JetStream answered')
    })
  }

  /** A subject of its own. */
  inbox(): string {
    let id = ''
    while (id.length < 22) id += Math.floor(this.env.random() * 36).toString(36)
    return `_INBOX.${id}`
  }

  /** Stores a record. Rejects with BROKER_UNREACHABLE, STORE_FULL, STORE_FAILED: surely not stored; BROKER_TIMEOUT: unknown. */
  publish(subject: string, payload: Uint8Array, headers: string | undefined): Promise<Stored> {
    return this.#ask(subject, payload, headers).then(storedAt)
  }

  /** As the client's own request, which costs more than all the rest of a publish. */
  #ask(subject: string, payload: Uint8Array | string, headers: string | undefined): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (!this.link.watch.isUp || this.link.connection.isClosed()) {
        reject(new BusError('BROKER_UNREACHABLE', `there is no connection to ${this.link.url}`))
        return
      }
      const token = (++this.#count).toString(36)
      const options = { reply: this.#inbox + token, ...(headers !== undefined && { headers: rawHeaders(headers) }) }
      try {
        this.link.connection.publish(subject, payload, options)
      } catch (error) {
        reject(new BusError('STORE_FAILED', `NATS takes no such record: ${describeThrown(error)}`, { cause: error }))
        return
      }
      this.#pending.set(token, { untilMs: this.env.monotonicMs() + this.timeoutMs, resolve, reject })
      this.#sweep ??= this.env.after(SWEEP_MS, () => this.#late())
    })
  }

  /**
   * Asks the API of JetStream. Resolves to the answer, which may be a fault; rejects as {@link NatsLink.ask} does. While the copies of a
   * stream choose their leader nobody answers, nor later: so what may be asked twice is asked again.
   */
  async api<T>(name: string, question: object = {}): Promise<T & { readonly error?: ApiFault }> {
    const [subject, payload] = [`$JS.API.${name}`, JSON.stringify(question)]
    const answer = name.startsWith('CONSUMER.')
      ? await this.link.ask(subject, payload, { timeoutMs: this.timeoutMs })
      : await askAgain(this.link, subject, payload, this.timeoutMs)
    return answer.json<T & { readonly error?: ApiFault }>()
  }

  /** As {@link api}; a fault rejects with STORE_FAILED or STORE_FULL. */
  async must<T>(name: string, question: object = {}): Promise<T> {
    const answer = await this.api<T>(name, question)
    if (answer.error !== undefined) throw faultOf(answer.error)
    return answer
  }

  /** A stream was met: with one copy, whoever has it may be asked for a record. */
  met({ config: { name, num_replicas = 1, allow_direct = false } }: StreamDetails): void {
    if (allow_direct && num_replicas === 1) this.#direct.add(name)
    else this.#direct.delete(name)
  }

  /** The sequence of the first record of these subjects at or behind one; Infinity when there is none. */
  async firstFrom(stream: string, subjects: string, seq: number): Promise<number> {
    return (await this.get(stream, { seq, next_by_subj: subjects }))?.seq ?? Number.POSITIVE_INFINITY
  }

  /** One record of a stream; undefined when it is not there. */
  get(stream: string, which: Which): Promise<Kept | undefined> {
    return this.#direct.has(stream) ? this.#getDirect(stream, which) : this.#getFromLeader(stream, which)
  }

  async #getDirect(stream: string, which: Which): Promise<Kept | undefined> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#ask(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(which), undefined)
      const { headers, data } = answer
      if (headers === undefined || !headers.hasError) {
        const header = (name: string): string | undefined => headers?.get(name) || undefined
        return { seq: Number(header('Nats-Sequence')), subject: header('Nats-Subject') ?? '', data, header }
      }
      if (headers.code === NOT_FOUND) return undefined
      // A stream that was just made, or a server that has just begun, answers nobody yet: that is not the same as having nothing.
      if (tries === MOST_TRIES) throw new BusError('STORE_FAILED', `JetStream: ${headers.code} ${headers.description}`)
      await this.rest(TRY_MS * tries)
    }
  }

  /**
   * Of several copies any may lag behind, and would say of what was acknowledged that it is not there; its leader has it, if not at once
   * when it is a new one.
   */
  async #getFromLeader(stream: string, which: Which): Promise<Kept | undefined> {
    for (let tries = 1; ; tries++) {
      const { error, message } = await this.api<KeptAnswer>(`STREAM.MSG.GET.${stream}`, which)
      if (message !== undefined) return keptOf(message)
      if (error !== undefined && error.err_code !== NO_MESSAGE) throw faultOf(error)
      if (tries === MOST_TRIES || 'last_by_subj' in which) return undefined
      await this.rest(LEADER_TRY_MS * tries)
    }
  }

  /** Resolves after so many milliseconds. */
  rest(ms: number): Promise<void> {
    return new Promise((resolve) => void this.env.after(ms, resolve))
  }

  /** The sequence of the first record with this id, as long as the server remembers it. */
  async find(subject: string, id: string): Promise<number | undefined> {
    // A repeat is answered with the first one; anything else is refused, since no stream has such a sequence.
    const headers = `Nats-Msg-Id: ${id}\r\nNats-Expected-Last-Sequence: ${Number.MAX_SAFE_INTEGER}`
    try {
      const stored = await this.publish(subject, new Uint8Array(0), headers)
      return stored.duplicate ? stored.seq : undefined
    } catch (error) {
      if (error instanceof BusError && error.details.errCode === WRONG_SEQUENCE) return undefined
      throw error
    }
  }

  /**
   * Resolves once a stream listens to the subject: the server tells of a stream that is just being made, or whose copies choose their
   * leader, before it takes records. Of a few that follow each other the first would be refused, and the others stored.
   */
  async listens(subject: string): Promise<void> {
    const untilMs = this.env.monotonicMs() + this.timeoutMs
    for (let tries = 1; ; tries++) {
      try {
        await this.find(subject, 'nobody')
        return
      } catch (error) {
        const isYoung = error instanceof BusError && error.details.errCode === NO_STREAM
        if (!isYoung || this.env.monotonicMs() >= untilMs) throw error
      }
      await this.rest(Math.min(TRY_MS * tries, LONGEST_TRY_MS))
    }
  }

  close(): void {
    this.#watching[Symbol.dispose]()
    this.#sweep?.cancel()
    this.#fail('the log was closed before JetStream answered')
    this.#acks.unsubscribe()
  }

  #ack(error: unknown, message: Message): void {
    if (error) return
    const token = message.subject.slice(this.#inbox.length)
    const pending = this.#pending.get(token)
    if (pending === undefined) return
    this.#pending.delete(token)
    pending.resolve(message)
  }

  #late(): void {
    this.#sweep = undefined
    const nowMs = this.env.monotonicMs()
    for (const [token, pending] of this.#pending) {
      // In the order of their making, so the first that has time ends the search.
      if (pending.untilMs > nowMs) break
      this.#pending.delete(token)
      pending.reject(new BusError('BROKER_TIMEOUT', `JetStream did not answer within ${this.timeoutMs} ms`))
    }
    if (this.#pending.size > 0) this.#sweep = this.env.after(SWEEP_MS, () => this.#late())
  }

  #fail(text: string): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject } of pending) reject(new BusError('BROKER_TIMEOUT', text))
  }
}

function storedAt(answer: Message): Stored {
  if (answer.data.length === 0) {
    const text = 'JetStream has no such stream, or does not run'
    throw new BusError('STORE_FAILED', text, { details: { errCode: NO_STREAM } })
  }
  const { error, seq = 0, duplicate } = answer.json<{ error?: ApiFault; seq?: number; duplicate?: boolean }>()
  if (error !== undefined) throw faultOf(error)
  return { seq, duplicate: duplicate === true }
}

/** What a record says. */
export function jsonIn<T>({ data }: Kept): T {
  return JSON.parse(Buffer.from(data).toString()) as T
}

function keptOf({ seq, subject, hdrs = '', data = '' }: NonNullable<KeptAnswer['message']>): Kept {
  const lines = Buffer.from(hdrs, 'base64').toString().split('\r\n')
  return {
    seq,
    subject,
    data: Buffer.from(data, 'base64'),
    header: (name) =>
      lines
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim() || undefined,
  }
}

/** The error for what JetStream says. */
export function faultOf({ code, err_code: errCode, description = 'no reason given' }: ApiFault): BusError {
  const details = { errCode: errCode ?? code }
  if (errCode !== undefined && FULL.has(errCode))
    return new BusError('STORE_FULL', `JetStream has no room: ${description}`, { details })
  if (errCode === 10_039 || errCode === 10_076)
    return new BusError('BROKER_REFUSED', `JetStream: ${description}`, { details })
  return new BusError('STORE_FAILED', `JetStream: ${description}`, { details })
}

// The client only asks headers for their bytes; to build its own object costs more than all the rest of a publish.
function rawHeaders(lines: string): Headers {
  return { encode: () => Buffer.from(`NATS/1.0\r\n${lines}\r\n\r\n`) } as unknown as Headers
}
