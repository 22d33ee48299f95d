import type { RedisArg, RedisLink, RedisReply, RedisScript } from '../../broker/redis/link.ts'
import type { Env, Timer } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import type { Ear } from './ear.ts'
import { isOtherEpoch, isWrongType } from './faults.ts'
import { READING, SCRIPTS } from './scripts.ts'

/** Milliseconds between two signs of life of a process with consumers, and between two looks whether all is there. */
const BEAT_MS = 1_000
const CHECK_EVERY = 5
const ROUNDS = 3

/** What the channels of a log share. */
export interface ChannelHost {
  readonly env: Env
  readonly link: RedisLink
  readonly ear: Ear
  readonly prefix: string
  /** This log among those of the same prefix. */
  readonly me: string
  readonly deadAfterMs: number
  readonly timeoutMs: number | undefined
  readonly tellLoss: (error: BusError) => void
}

/** Something that looks again when there may be something new. */
export interface Listener {
  readonly stream: string
  /** Empty for a reader. */
  readonly group: string
  wake(): void
  /** The group that had this id was forgotten. */
  forgotten(id: number): void
  /** The data are others than before. */
  renewed(): void
}

/** The part of a channel in the key of its slot: no brace of the name may end it. */
function slotOf(channel: string): string {
  return channel === '' ? '%' : channel.replace(/[%{}]/g, (one) => `%${one.charCodeAt(0).toString(16)}`)
}

/** The keys of a channel begin with this. */
export function baseOf(prefix: string, channel: string): string {
  return `${prefix}:{${slotOf(channel)}}:`
}

/** Calls the scripts of one channel, and knows whether its data are still the same. */
export class Channel {
  readonly name: string
  readonly base: string
  readonly env: Env
  readonly link: RedisLink
  readonly listeners = new Set<Listener>()
  readonly #host: ChannelHost
  readonly #fixed: string
  /** Data that this log begins are called so, with the number of the call. */
  readonly #fresh: string
  #calls = 0
  readonly #keys: readonly string[]
  /** The highest offsets that were acknowledged to this log, by stream. */
  readonly #seen = new Map<string, number>()
  /** Groups that this log has joined: it is a process that may die while it has any. */
  readonly #joined = new Set<string>()
  #epoch: string | undefined
  #greeting: Promise<void> | undefined
  #attending: Promise<void> | undefined
  /** Of a taking part that ends: the next one begins after it. */
  #retiring: Promise<void> | undefined
  #living = false
  #heardMs = -1
  #timer: Timer | undefined
  #beats = 0
  #ended = false

  constructor(host: ChannelHost, name: string) {
    this.#host = host
    this.env = host.env
    this.link = host.link
    this.name = name
    this.base = baseOf(host.prefix, name)
    const sharded = host.link.kind === 'cluster'
    // While a slot moves, a call of two keys of which one is missing is refused: and the first one is always missing. A script that found
    // some of its keys here and others there would end half done.
    this.#keys = sharded ? [this.base, `${this.base}state`] : [this.base]
    const fixed = {
      me: host.me,
      dead: host.deadAfterMs,
      publish: sharded ? 'SPUBLISH' : 'PUBLISH',
      numsub: sharded ? 'SHARDNUMSUB' : 'NUMSUB',
      channel: name,
      ...(sharded ? {} : { registry: `${host.prefix}:channels` }),
    }
    this.#fresh = `${host.me}${Math.floor(host.env.random() * 2 ** 40).toString(36)}`
    this.#fixed = JSON.stringify(fixed).slice(0, -1)
  }

  /** The offset behind which nothing was acknowledged to this log. */
  seenOf(stream: string): number {
    return this.#seen.get(stream) ?? 0
  }

  /** An entry was acknowledged, or handed out. */
  saw(stream: string, offset: number): void {
    if (offset > (this.#seen.get(stream) ?? 0)) this.#seen.set(stream, offset)
  }

  /** A script that changes nothing. */
  async ask(script: RedisScript, args: readonly RedisArg[]): Promise<RedisReply> {
    return this.#retried(script, args)
  }

  /** A script that changes something; the channel exists afterwards. Calls are carried out in the order in which they were made. */
  async change(script: RedisScript, args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply> {
    if (this.#epoch === undefined) await this.#greet()
    return this.#retried(script, args, timeoutMs)
  }

  /** This log takes part in a group from now on. Resolves once others notice its death. */
  attend(stream: string, group: string): Promise<void> {
    this.#joined.add(`${stream}\n${group}`)
    this.#attending ??= this.#attend().catch((error: unknown) => {
      this.#attending = undefined
      throw error
    })
    return this.#attending
  }

  /** It is to take no part any more, unless it attends again. Resolves to whether it did. */
  absent(stream: string, group: string): boolean {
    return this.#joined.delete(`${stream}\n${group}`)
  }

  /** Ends the attendance when it takes part in nothing any more. */
  async rest(): Promise<void> {
    if (this.#joined.size === 0) await this.retire()
  }

  /** The data of a channel without groups and streams are gone: the next change begins anew. */
  unlearn(): void {
    if (this.#seen.size === 0) this.#epoch = undefined
  }

  /** Stream and group, whose listeners are woken; with an id, the group was forgotten. */
  heard(bytes: Buffer): void {
    const [stream, group, gone] = bytes.toString().split('\n')
    for (const one of [...this.listeners]) {
      if (one.stream !== stream || one.group !== group) continue
      if (gone === undefined) one.wake()
      else one.forgotten(Number(gone))
    }
  }

  /** The connection is back: nobody knows what was missed. */
  async restored(): Promise<void> {
    // Asked first, so that a loss is known before anything else is answered; but nobody waits for that.
    const checked = this.#epoch === undefined ? undefined : this.check()
    for (const one of [...this.listeners]) one.wake()
    await checked
  }

  /** Compares what is there with what this log saw, and says what is lost. */
  async check(): Promise<void> {
    const args = [...this.#seen].flatMap(([stream, offset]) => [stream, String(offset)])
    const [, lost] = (await this.#retried(SCRIPTS.mend, args)) as readonly [Buffer, readonly Buffer[]]
    this.lost(lost)
  }

  /** Stream, first and last offset of what the server lacks, one after the other. */
  lost(list: readonly Buffer[]): void {
    if (list.length === 0) return
    const ranges: { stream: string; from: string; to: string }[] = []
    for (let at = 0; at < list.length; at += 3) {
      const [stream, from, to] = list.slice(at, at + 3).map(String) as [string, string, string]
      ranges.push({ stream, from, to })
    }
    this.#tellLoss(ranges)
  }

  /** Says in order that this log ends here. */
  async retire(): Promise<void> {
    const attended = this.#attending
    this.#attending = undefined
    if (attended !== undefined) this.#retiring = this.#withdraw(attended)
    await this.#retiring
  }

  async #withdraw(attended: Promise<void>): Promise<void> {
    await attended.catch(() => undefined)
    this.#timer?.cancel()
    this.#timer = undefined
    this.#living = false
    await this.#retried(SCRIPTS.beat, ['1']).catch(() => undefined)
    await this.#host.ear.leave(this)
  }

  /** Stops everything that would happen by itself. */
  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  async #attend(): Promise<void> {
    // Otherwise it would be said behind this that nobody listens here.
    await this.#retiring
    await this.#host.ear.listen(this)
    this.#living = true
    await this.#beat()
    this.#tick()
  }

  #tick(): void {
    if (this.#ended || !this.#living) return
    this.#timer = this.env.after(BEAT_MS, () => {
      void this.#beat().catch(() => undefined)
      this.#tick()
    })
  }

  async #beat(): Promise<void> {
    if (this.#beats++ % CHECK_EVERY === CHECK_EVERY - 1 && this.#epoch !== undefined) await this.check()
    await this.change(SCRIPTS.beat, ['0'])
  }

  #greet(): Promise<void> {
    this.#greeting ??= this.#learn().finally(() => {
      this.#greeting = undefined
    })
    return this.#greeting
  }

  async #learn(): Promise<void> {
    if (this.link.kind === 'cluster') {
      await this.link.command(`${this.#host.prefix}:channels`, ['SADD', `${this.#host.prefix}:channels`, this.name])
    }
    try {
      const [epoch] = (await this.#call(SCRIPTS.mend, [])) as readonly [Buffer]
      this.#epoch = epoch.toString()
    } catch (error) {
      throw isWrongType(error) ? await this.#hurt(error, undefined) : error
    }
  }

  async #retried(script: RedisScript, args: readonly RedisArg[], timeoutMs?: number): Promise<RedisReply> {
    for (let round = 1; ; round++) {
      // Until it is known what was lost, nothing else is asked: each loss is told once.
      if (this.#renewing !== undefined) await this.#renewing
      const epoch = this.#epoch
      try {
        return await this.#call(script, args, timeoutMs)
      } catch (error) {
        if (isWrongType(error)) throw await this.#hurt(error, args[0])
        if (!isOtherEpoch(error) || round === ROUNDS) throw error
        if (epoch === this.#epoch) await this.#renew()
      }
    }
  }

  /** The server says that a key is of another type, but not which one. */
  async #hurt(error: BusError, of: RedisArg | undefined): Promise<BusError> {
    const known = [...new Set([...this.listeners].map(({ stream }) => stream))]
    const found = await this.#call(SCRIPTS.hurt, [...streamsOf(of), ...known]).catch(() => null)
    if (found === null) return error
    const text = `WRONGTYPE ${String(found)}`
    return new BusError(error.code, text, { cause: error, details: { ...error.details, found: String(found) } })
  }

  #renewing: Promise<void> | undefined
  #renew(): Promise<void> {
    this.#renewing ??= this.#recover().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  /** The server has other data than this log knew: what was acknowledged is lost. Offsets go on above all that was seen. */
  async #recover(): Promise<void> {
    this.#epoch = undefined
    await this.#greet()
    const [, lost] = (await this.#call(
      SCRIPTS.mend,
      [...this.#seen].flatMap(([stream, offset]) => [stream, String(offset)]),
    )) as readonly [Buffer, readonly Buffer[]]
    if (this.#seen.size > 0) {
      const ranges = [...this.#seen].map(([stream, to]) => ({ stream, from: '1', to: String(to) }))
      if (lost.length > 0) this.lost(lost)
      else this.#tellLoss(ranges)
    }
    for (const one of [...this.listeners]) one.renewed()
  }

  #tellLoss(ranges: readonly { readonly stream: string; readonly from: string; readonly to: string }[]): void {
    const told = ranges.map(({ stream, from, to }) => `"${stream}" ${from} to ${to}`).join(', ')
    const text = `${this.link.url} lacks entries that it had acknowledged: ${told}`
    this.#host.tellLoss(
      new BusError('DATA_LOSS', text, { details: { url: this.link.url, channel: this.name, ranges } }),
    )
  }

  async #call(script: RedisScript, args: readonly RedisArg[], timeoutMs = this.#host.timeoutMs): Promise<RedisReply> {
    const sentMs = this.env.monotonicMs()
    // Rounded up: the time that has passed in the server cannot be more.
    const idle = this.#heardMs < 0 ? -1 : Math.ceil(sentMs - this.#heardMs) + 1
    const epoch = this.#epoch === undefined ? '' : `,"epoch":"${this.#epoch}"`
    // Never the same twice: who knew what was lost must not take what comes after it for that.
    const fresh = `${this.#fresh}.${++this.#calls}`
    const caller = `${this.#fixed},"fresh":"${fresh}","idle":${idle}${epoch}${this.#living ? ',"living":1' : ''}}`
    const reply = await this.link.run(script, this.#keys, [caller, ...args], timeoutMs)
    // From the last call on that moved the clock: otherwise leases would last longer for every look at figures.
    if (sentMs > this.#heardMs && !READING.has(script)) this.#heardMs = sentMs
    return reply
  }
}

/** The streams that the first argument of a script names: one, or a list as JSON. */
function streamsOf(of: RedisArg | undefined): string[] {
  const text = String(of ?? '')
  try {
    const list = JSON.parse(text) as unknown
    return Array.isArray(list) ? list.map((one) => String((one as readonly unknown[])[0])) : [text]
  } catch {
    return [text]
  }
}
