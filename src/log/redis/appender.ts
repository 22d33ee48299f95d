import type { RedisArg } from '../../broker/redis/link.ts'
import { BusError } from '../../kit/errors.ts'
import { Ring } from '../../kit/ring.ts'
import type { MessageId } from '../../message/ids.ts'
import type { Appended } from '../log.ts'
import type { Channel } from './channel.ts'
import { type Packed, wayOf } from './codec.ts'
import type { Copies } from './copies.ts'
import { publishFault, unknownPublish } from './faults.ts'
import { SCRIPTS } from './scripts.ts'

// Hot path: everything that a turn appends to a channel goes out as one call; a second call may be under way while the first one is.

const MOST_ITEMS = 400
const MOST_CHARS = 1_048_576
const MOST_CALLS = 2
const COPY_MS = 5_000

/** How appends are carried out. */
export interface AppendSettings {
  readonly dedupMs: number
  readonly dedupLimit: number
  readonly timeoutMs: number | undefined
  /** As many replicas must have it before it is acknowledged; 0 for none. */
  readonly replicas: number
  readonly copies: Copies
}

interface Job {
  readonly stream: string
  readonly items: readonly Packed[]
  readonly chars: number
  resolve(appended: readonly Appended[]): void
  reject(error: BusError): void
}

/** Appends to the streams of one channel. */
export class Appender {
  readonly #channel: Channel
  readonly #settings: AppendSettings
  readonly #jobs = new Ring<Job>()
  readonly #idle: (() => void)[] = []
  #calls = 0
  #scheduled = false

  constructor(channel: Channel, settings: AppendSettings) {
    this.#channel = channel
    this.#settings = settings
  }

  append(stream: string, items: readonly Packed[]): Promise<readonly Appended[]> {
    return new Promise((resolve, reject) => {
      let chars = 0
      for (const { text } of items) chars += text.length
      this.#jobs.push({ stream, items, chars, resolve, reject })
      this.#schedule()
    })
  }

  /** Resolves once all that was given is answered. */
  async settled(): Promise<void> {
    while (this.#calls > 0 || this.#jobs.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Sends what waits, as far as calls may be under way. */
  flush(): void {
    this.#scheduled = false
    while (this.#jobs.size > 0 && this.#calls < MOST_CALLS) this.#send()
  }

  #schedule(): void {
    if (this.#scheduled || this.#calls >= MOST_CALLS) return
    this.#scheduled = true
    this.#channel.env.nextTurn(() => this.flush())
  }

  #send(): void {
    const { dedupMs, dedupLimit, timeoutMs, replicas } = this.#settings
    const jobs: Job[] = []
    const numbers = new Map<string, number>()
    const named: [string, number][] = []
    const args: RedisArg[] = ['', String(dedupMs), String(dedupLimit), '']
    const ways: unknown[] = []
    let plain = true
    for (let items = 0, chars = 0; ; ) {
      const job = this.#jobs.peek()
      // An append is never split: its messages are kept together.
      if (job === undefined || (items > 0 && (items + job.items.length > MOST_ITEMS || chars + job.chars > MOST_CHARS)))
        break
      this.#jobs.shift()
      jobs.push(job)
      items += job.items.length
      chars += job.chars
      let number = numbers.get(job.stream)
      if (number === undefined) {
        number = named.push([job.stream, this.#channel.seenOf(job.stream)])
        numbers.set(job.stream, number)
      }
      for (const item of job.items) {
        plain &&= number === 1 && item.way === 'p'
        ways.push(wayOf(item, number))
        args.push(item.text)
      }
    }
    args[0] = JSON.stringify(named)
    if (!plain) args[3] = JSON.stringify(ways)
    this.#calls++
    this.#channel
      .change(SCRIPTS.append, args, timeoutMs)
      .then((reply) => {
        const appended = this.#answer(jobs, reply as readonly unknown[])
        return replicas > 0 ? this.#copied(jobs, appended) : this.#resolve(jobs, appended)
      })
      .catch((error: unknown) => {
        for (const { stream, items, reject } of jobs)
          reject(
            publishFault(
              stream,
              items.map(({ id }) => id),
              error,
            ),
          )
      })
      .finally(() => {
        this.#calls--
        // Not at once: what was asked before, by whom this has just answered, goes first.
        if (this.#jobs.size > 0) this.#schedule()
        if (this.#calls === 0) for (const done of this.#idle.splice(0)) done()
      })
  }

  /** What was stored, of each job; undefined for one that was refused, and has been told so. */
  #answer(jobs: readonly Job[], reply: readonly unknown[]): (readonly Appended[] | undefined)[] {
    this.#channel.lost(reply[0] as readonly Buffer[])
    let at = 1
    return jobs.map(({ stream, items, reject }) => {
      const appended: Appended[] = []
      let fault: string | undefined
      for (const { id, key } of items) {
        const answer = reply[at++]
        if (typeof answer === 'number') {
          this.#channel.saw(stream, answer)
          appended.push({ id: id as MessageId, offset: String(answer), stream, duplicate: false })
        } else {
          const text = String(answer)
          if (text.startsWith('!')) fault = text.slice(1)
          else appended.push({ ...placeOf(text, key ?? id), duplicate: true })
        }
      }
      if (fault === undefined) return appended
      reject(new BusError('STORE_FAILED', `nothing was stored in "${stream}": ${fault}`))
      return undefined
    })
  }

  #resolve(jobs: readonly Job[], appended: readonly (readonly Appended[] | undefined)[]): void {
    for (let at = 0; at < jobs.length; at++) {
      const stored = appended[at]
      if (stored !== undefined) jobs[at]?.resolve(stored)
    }
  }

  /** Answers once as many replicas as are asked for have it. */
  async #copied(jobs: readonly Job[], appended: readonly (readonly Appended[] | undefined)[]): Promise<void> {
    const { replicas, timeoutMs = COPY_MS, copies } = this.#settings
    const places = new Map<string, number>()
    for (const { stream, offset } of appended.flatMap((list) => list ?? [])) {
      places.set(stream, Math.max(places.get(stream) ?? 0, Number(offset)))
    }
    const there = await copies.of(this.#channel.base, places, timeoutMs / 2)
    if (there >= replicas) return this.#resolve(jobs, appended)
    const why = `${there} of ${replicas} replicas have confirmed it in time`
    for (const { stream, items, reject } of jobs) {
      reject(
        unknownPublish(
          stream,
          items.map(({ id }) => id),
          why,
        ),
      )
    }
  }
}

/** Where the first one of a key lies: `offset:id:stream`, the id left out when it is the key. */
export function placeOf(mark: string, key: string): Pick<Appended, 'id' | 'offset' | 'stream'> {
  const first = mark.indexOf(':')
  const second = mark.indexOf(':', first + 1)
  const id = mark.slice(first + 1, second)
  return { id: (id === '' ? key : id) as MessageId, offset: mark.slice(0, first), stream: mark.slice(second + 1) }
}
