import type { RedisLine, RedisLink } from '../../broker/redis/link.ts'
import { backoffMs } from '../../kit/backoff.ts'
import type { Env, Timer } from '../../kit/env.ts'
import { describeThrown, isBusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import { type DeadReason, deadFields } from './dead.ts'
import type { CortexFields, CortexLayout, CortexPlace } from './layout.ts'
import type { CortexNames } from './names.ts'
import { isOutage, pause } from './read.ts'
import { AGAIN, entriesOf, KEEP, listOf, pairsOf, type RawEntry, SETTLE, TAKE } from './scripts.ts'

/** What a handler of {@link CortexStreams.consume} is told beside the message. */
export interface CortexDelivery extends CortexPlace {
  /** 1 for the first time; counted by the server, so a crash counts, too. */
  readonly attempt: number
  /** The name of the swarm of ours that wrote it; undefined for Cortex. */
  readonly by: string | undefined
  /** Aborted when the entry went to another member meanwhile, or when the consumer is disposed and its patience ended. */
  readonly signal: AbortSignal
}

/** Resolves when the message is done: only then is its entry acknowledged. */
export type CortexHandler = (message: Message, delivery: CortexDelivery) => unknown

/** What a consumer tells about itself. */
export type CortexEvent =
  /** A call to the server failed; it is tried again. */
  | { readonly type: 'retry'; readonly error: unknown; readonly nextMs: number }
  /** An entry went to the dead letters. */
  | { readonly type: 'dead'; readonly place: CortexPlace; readonly reason: DeadReason; readonly error: string }
  /** An entry for another agent was moved to that agent's own stream. */
  | { readonly type: 'moved'; readonly place: CortexPlace; readonly to: string }
  /** An entry went to another member while its handler ran: what the handler does does not count any more. */
  | { readonly type: 'lost'; readonly place: CortexPlace }

/** How a consumer works; {@link CortexConsumeOptions} with its defaults. */
export interface ConsumeParts {
  readonly link: RedisLink
  readonly env: Env
  readonly layout: CortexLayout
  readonly names: CortexNames
  readonly streams: readonly string[]
  readonly group: string
  readonly consumer: string
  /** Whose messages are handled; those to others are moved. Undefined: everybody's. */
  readonly agent: string | undefined
  readonly from: 'first' | 'new'
  readonly concurrency: number
  readonly visibilityMs: number
  readonly retryMs: readonly number[]
  readonly attempts: number
  readonly maxAgeMs: number
  readonly handler: CortexHandler
  readonly onEvent: (event: CortexEvent) => void
}

interface Item extends CortexPlace {
  readonly fields: CortexFields
  readonly abort: AbortController
  attempt: number
}

const BLOCK_MS = 10_000
/** After so many from higher streams the lowest ones are asked first, once. */
const OVERTAKING_BOUND = 100
/** With so many waiting to be tried again, nothing new is taken. */
const MOST_RESTING = 100

/** A running consumer: disposal takes nothing new and waits for the handlers that run. */
export interface CortexConsumer extends AsyncDisposable {
  /** Entries whose handlers run, or that wait to be tried again. */
  readonly inHand: number
}

/** Reads streams as a member of a group. */
export function startConsumer(parts: ConsumeParts): CortexConsumer {
  const { link, env, streams, group, consumer, concurrency, visibilityMs } = parts
  const inHand = new Map<string, Item>()
  const ready: Item[] = []
  const running = new Set<Promise<void>>()
  const closing = new AbortController()
  /** Of each stream: where among the member's own entries to go on; undefined when there are none left. */
  let own: (string | undefined)[] = []
  let line: RedisLine | undefined
  let passed = 0
  let wake: (() => void) | undefined
  /** Handlings that wait to be tried again: they take no room. Those whose wait is over wait here for room. */
  let resting = 0
  const rested: (() => void)[] = []
  let renewal: Timer | undefined

  const isClosing = (): boolean => closing.signal.aborted
  const room = (): number => (resting < MOST_RESTING ? concurrency - (running.size - resting) : 0)

  async function prepare(): Promise<void> {
    for (const stream of streams) {
      const start = parts.from === 'first' ? '0' : '$'
      try {
        await link.command(stream, ['XGROUP', 'CREATE', stream, group, start, 'MKSTREAM'])
      } catch (error) {
        if (!answered(error, /^BUSYGROUP/)) throw error
      }
    }
    // What was answered to a connection that was lost, or to an earlier life of this member, is its own already.
    own = streams.map(() => '0')
    line = await link.line(streams[0])
  }

  function accept(stream: string, entries: readonly RawEntry[], attempt: number): void {
    for (const { entryId, fields } of entries) {
      const key = `${stream} ${entryId}`
      if (inHand.has(key)) continue
      const item: Item = { stream, entryId, fields: fields ?? {}, attempt, abort: new AbortController() }
      inHand.set(key, item)
      ready.push(item)
    }
    ready.sort((one, other) => streams.indexOf(one.stream) - streams.indexOf(other.stream))
    beginReady()
  }

  function beginReady(): void {
    while (ready.length > 0 && room() > 0 && !isClosing()) begin(ready.shift() as Item)
  }

  /** Takes as many as there is room for, from the first stream that has any. False when all are empty. */
  async function take(): Promise<boolean> {
    const turned = passed >= OVERTAKING_BOUND
    if (turned) passed = 0
    const order = turned ? streams.map((_, at) => at).reverse() : streams.map((_, at) => at)
    const after = order.map((at) => own[at] ?? '>')
    const count = turned ? 1 : room()
    const keys = order.map((at) => streams[at] as string)
    const [place, isOwn, taken, ended] = listOf(await link.run(TAKE, keys, [group, consumer, String(count), ...after]))
    for (const one of listOf(ended)) own[order[Number(one) - 1] as number] = undefined
    const entries = entriesOf(taken)
    if (entries.length === 0) return false
    const at = order[Number(place) - 1] as number
    const stream = streams[at] as string
    if (isOwn === 1) {
      own[at] = entries.at(-1)?.entryId
      for (const entry of entries) accept(stream, [entry], await attemptsOf(stream, entry.entryId))
    } else {
      if (!turned && at < streams.length - 1) passed += entries.length
      accept(stream, entries, 1)
    }
    return true
  }

  async function attemptsOf(stream: string, entryId: string): Promise<number> {
    const found = listOf(await link.command(stream, ['XPENDING', stream, group, entryId, entryId, '1']))
    return Number(listOf(found[0])[3] ?? 1)
  }

  /** Entries of members that are gone, or hang: as many as there is room for. */
  async function claim(): Promise<void> {
    for (const stream of streams) {
      const most = room() - ready.length
      if (most <= 0 || isClosing()) return
      const idle = String(Math.ceil(visibilityMs))
      const count = ['COUNT', String(most)]
      const reply = listOf(await link.command(stream, ['XAUTOCLAIM', stream, group, consumer, idle, '0-0', ...count]))
      for (const entry of entriesOf(reply[1])) {
        accept(stream, [entry], await attemptsOf(stream, entry.entryId))
      }
    }
  }

  /** Keeps what is in hand from being claimed by others, and asks for what others left. */
  async function renew(): Promise<void> {
    for (const stream of streams) {
      const held = [...inHand.values()].filter((item) => item.stream === stream)
      if (held.length === 0) continue
      const lost = await link.run(KEEP, [stream], [group, consumer, ...held.map(({ entryId }) => entryId)])
      for (const entryId of listOf(lost).map(String)) {
        const item = inHand.get(`${stream} ${entryId}`)
        if (item !== undefined) forget(item)
      }
    }
    await claim()
    wake?.()
  }

  function keepRenewing(): void {
    renewal = env.after(visibilityMs / 3, () => {
      renew().then(keepRenewing, (error: unknown) => {
        if (!isClosing()) parts.onEvent({ type: 'retry', error, nextMs: visibilityMs / 3 })
        keepRenewing()
      })
    })
    if (isClosing()) renewal.cancel()
  }

  function forget(item: Item): void {
    inHand.delete(`${item.stream} ${item.entryId}`)
    const at = ready.indexOf(item)
    if (at !== -1) ready.splice(at, 1)
    item.abort.abort()
    parts.onEvent({ type: 'lost', place: item })
  }

  /** Waits for entries in the server. What comes is taken, whatever runs meanwhile. */
  async function block(): Promise<void> {
    const after = streams.map(() => '>')
    const call = ['XREADGROUP', 'GROUP', group, consumer, 'COUNT', '1', 'BLOCK', String(BLOCK_MS), 'STREAMS']
    for (const page of listOf((await line?.command([...call, ...streams, ...after])) ?? null)) {
      const [stream, entries] = listOf(page)
      accept(String(stream), entriesOf(entries), 1)
    }
  }

  async function session(): Promise<void> {
    await prepare()
    while (!isClosing()) {
      beginReady()
      if (room() <= 0) await new Promise<void>((resolve) => (wake = resolve))
      else if (!(await take()) && ready.length === 0) await block()
    }
  }

  function begin(item: Item): void {
    const run = handle(parts, item, { until, rest }).then(() => {
      running.delete(run)
      inHand.delete(`${item.stream} ${item.entryId}`)
      freed()
    })
    running.add(run)
  }

  function freed(): void {
    if (rested.length > 0) rested.shift()?.()
    else beginReady()
    wake?.()
  }

  /** Waits without taking room, and then for room. False when the entry is not to be tried any more. */
  async function rest({ abort }: Item, ms: number): Promise<boolean> {
    resting++
    freed()
    await pause(env, ms, AbortSignal.any([closing.signal, abort.signal]))
    while (!isClosing() && concurrency - (running.size - resting) <= 0) {
      await new Promise<void>((resolve) => rested.push(resolve))
    }
    resting--
    return !isClosing() && !abort.signal.aborted
  }

  /** Repeats a call until the server answers it; undefined when the consumer ends meanwhile. */
  async function until<T>(call: () => Promise<T>): Promise<T | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        return await call()
      } catch (error) {
        if (isClosing()) return undefined
        if (!isOutage(error) && !isBusError(error, 'STORE_FULL')) {
          parts.onEvent({ type: 'retry', error, nextMs: 0 })
          return undefined
        }
        await retryLater(error, tries)
      }
    }
  }

  async function retryLater(error: unknown, tries: number): Promise<void> {
    const nextMs = backoffMs(env, { firstMs: 50, mostMs: 2_000 }, tries)
    parts.onEvent({ type: 'retry', error, nextMs })
    await pause(env, nextMs, closing.signal)
  }

  async function work(): Promise<void> {
    for (let tries = 1; !isClosing(); tries++) {
      const startedMs = env.monotonicMs()
      try {
        await session()
      } catch (error) {
        if (isClosing()) break
        // It worked for a while: this is another outage.
        if (env.monotonicMs() - startedMs > 5_000) tries = 1
        await retryLater(error, tries)
      } finally {
        await line?.[Symbol.asyncDispose]()
      }
    }
    await Promise.all(running)
  }

  keepRenewing()
  const worked = work()
  return Object.freeze({
    get inHand() {
      return inHand.size
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      wake?.()
      for (const resolve of rested.splice(0)) resolve()
      await line?.[Symbol.asyncDispose]()
      await worked
      renewal?.cancel()
    },
  })
}

interface Means {
  until<T>(call: () => Promise<T>): Promise<T | undefined>
  rest(item: Item, ms: number): Promise<boolean>
}

/** One entry from its first attempt in this process to its end: acknowledged, moved, or dead. */
async function handle(parts: ConsumeParts, item: Item, { until, rest }: Means): Promise<void> {
  const { link, env, layout, names, group, consumer } = parts

  function settle(other?: string, fields: CortexFields = {}): Promise<unknown> {
    const keys = other === undefined ? [item.stream] : [item.stream, other]
    return until(() => link.run(SETTLE, keys, [group, consumer, item.entryId, ...pairsOf(fields)]))
  }

  async function bury(reason: DeadReason, error: string): Promise<void> {
    const record = { ...item, reason, error, diedMs: env.wallMs() }
    if ((await settle(names.dead, deadFields(record))) !== 1) return
    parts.onEvent({ type: 'dead', place: { stream: item.stream, entryId: item.entryId }, reason, error })
  }

  // Deleted while it was pending: nothing is left to handle.
  if (Object.keys(item.fields).length === 0) return void (await settle())
  let decoded: ReturnType<CortexLayout['decode']>
  try {
    decoded = layout.decode(item.fields, item)
  } catch (error) {
    return bury('undecodable', describeThrown(error))
  }
  const { message, by } = decoded
  if (parts.agent !== undefined && message.to !== undefined && message.to !== parts.agent) {
    // Whoever shares this group would take it from its receiver.
    const moved = await settle(names.messages(message.to), item.fields)
    if (moved === 1) parts.onEvent({ type: 'moved', place: item, to: message.to })
    return
  }
  for (;;) {
    const nowMs = env.wallMs()
    if ((message.expiresAt ?? Number.POSITIVE_INFINITY) <= nowMs || nowMs - message.time > parts.maxAgeMs) {
      return bury('stale', `it is ${Math.round((nowMs - message.time) / 1_000)} s old`)
    }
    if (item.attempt > parts.attempts)
      return bury('error', `the process ended ${parts.attempts} times while it was handled`)
    if (item.abort.signal.aborted) return
    try {
      const { stream, entryId, attempt } = item
      await parts.handler(message, { stream, entryId, attempt, by, signal: item.abort.signal })
      return void (await settle())
    } catch (error) {
      if (item.attempt >= parts.attempts) return bury('error', describeThrown(error))
    }
    const waitMs = parts.retryMs[Math.min(item.attempt, parts.retryMs.length) - 1] ?? 0
    // Otherwise it stays the group's: whoever is there next goes on with it.
    if (!(await rest(item, waitMs))) return
    const isOurs = await until(() => link.run(AGAIN, [item.stream], [group, consumer, item.entryId]))
    if (isOurs !== 1) return
    item.attempt++
  }
}

function answered(error: unknown, pattern: RegExp): boolean {
  return isBusError(error) && pattern.test(String((error.cause as Error | undefined)?.message))
}
