// Looks on: a middleware sees each message when its handler begins, the bus's announcements tell how each delivery ended.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { agentOf, BROADCAST_TOPIC, type Bus, type Failure, type Handler, type Message, type Priority } from 'swarmbus'

/** What happened, for the screen or for another program. */
export type Event =
  | ({ readonly type: 'message' | 'answer' } & Seen)
  | ({ readonly type: 'lost'; readonly outcome: Failure['outcome']; readonly reason: string } & Lost)
  | { readonly type: 'refused'; readonly where: string; readonly reason: string }
  | { readonly type: 'note'; readonly text: string }

interface Lost {
  readonly atMs: number
  readonly id: string
  readonly short: string
  readonly priority: Priority
  readonly name: string
  readonly text: string
}

interface Seen {
  /** Milliseconds since the start of the run. */
  readonly atMs: number
  readonly id: string
  /** A few digits of the id, as many as it takes to be the only one. */
  readonly short: string
  readonly causeId: string | undefined
  readonly cause: string | undefined
  readonly priority: Priority
  readonly from: string
  readonly to: string
  readonly text: string
  /** Milliseconds from publish to the start of the handler. */
  readonly waitedMs: number
}

/** Deliveries as counted by the announcements of the bus, apart from its ledger. */
export interface Counted {
  handled: number
  failed: number
  expired: number
  dropped: number
}

export interface Observer {
  readonly counted: Counted
  /** Messages handled, by agent and priority. */
  readonly byAgent: ReadonlyMap<string, ReadonlyMap<Priority, number>>
  /** Tells of an answer that came to its requester. */
  answered(answer: Message): void
  /** Tells of a delivery that did not end well. */
  lost(failure: Failure): void
  /** Puts the middleware in. Returns how to take it off. */
  attach(bus: Bus): () => void
}

/** Most messages remembered; the oldest go first. */
const MOST_REMEMBERED = 20_000
const OUTCOMES = ['handled', 'failed', 'expired', 'dropped'] as const

/** An observer that hands each event to `tell`. */
export function createObserver(tell: (event: Event) => void): Observer {
  const startMs = performance.now()
  const sinceStart = (): number => performance.now() - startMs
  const counted: Counted = { handled: 0, failed: 0, expired: 0, dropped: 0 }
  const byAgent = new Map<string, Map<Priority, number>>()
  const shorts = new Map<string, string>()
  const taken = new Set<string>()
  const publishedMs = new Map<string, number>()
  const settledMs = new Map<string, number>()
  const shown = new Set<string>()

  const shortOf = (id: string): string => {
    const known = shorts.get(id)
    if (known !== undefined) return known
    const short = candidates(id).find((one) => !taken.has(one)) ?? id
    taken.add(short)
    shorts.set(id, short)
    forgetOldest()
    return short
  }
  const forgetOldest = (): void => {
    if (shorts.size <= MOST_REMEMBERED) return
    const [id, short] = shorts.entries().next().value as [string, string]
    shorts.delete(id)
    taken.delete(short)
    publishedMs.delete(id)
    shown.delete(id)
  }
  const seen = (type: 'message' | 'answer', message: Message, from: string, to: string, waitedMs: number): void => {
    const { id, priority, causationId: causeId } = message
    const cause = causeId === undefined ? undefined : shortOf(causeId)
    tell({
      type,
      atMs: sinceStart(),
      id,
      short: shortOf(id),
      causeId,
      cause,
      priority,
      from,
      to,
      text: textOf(message.data),
      waitedMs,
    })
  }
  const handling = (message: Message, handler: string): void => {
    // What the bus tells of itself is no message of the swarm.
    if (message.topic.startsWith('_') || shown.has(message.id)) return
    shown.add(message.id)
    const { id, topic, from, time } = message
    // Everybody hears it: here several may, and in other processes more.
    const name = topic === 'status' ? 'all' : handler
    const to = topic === BROADCAST_TOPIC ? 'all' : (agentOf(topic) ?? `${topic}/${name}`)
    const atMs = publishedMs.get(id)
    // What another process published has a time by the wall clock only.
    const waitedMs = atMs === undefined ? Date.now() - time : performance.now() - atMs
    seen('message', message, from ?? 'you', to, Math.max(0, waitedMs))
  }

  return {
    counted,
    byAgent,
    answered(answer) {
      const by = byOf(answer.data) ?? answer.from ?? '?'
      const key = `${answer.causationId} ${by}`
      const nowMs = performance.now()
      seen('answer', answer, by, answer.to ?? 'you', nowMs - (settledMs.get(key) ?? nowMs))
      settledMs.delete(key)
    },
    lost({ message, name, outcome, error }) {
      const { id, priority, data } = message
      const reason = error instanceof Error ? error.message : String(error)
      tell({
        type: 'lost',
        atMs: sinceStart(),
        id,
        short: shortOf(id),
        priority,
        name,
        text: textOf(data),
        outcome,
        reason,
      })
    },
    attach(bus) {
      const listeners = new Map<string, (event: unknown) => void>()
      const mine = (event: unknown): event is { message: Message } =>
        (event as { bus: string }).bus === bus.stats().name
      listeners.set('message.published', (event) => {
        if (!mine(event)) return
        publishedMs.set(event.message.id, performance.now())
        shortOf(event.message.id)
      })
      for (const outcome of OUTCOMES) listeners.set(`message.${outcome}`, () => counted[outcome]++)
      for (const [name, listener] of listeners) subscribe(`swarmbus.${name}`, listener)
      const takeOff = bus.use((next: Handler) => async (message, context) => {
        handling(message, context.name)
        const result = await next(message, context)
        if (message.replyTo !== undefined) settledMs.set(`${message.id} ${context.name}`, performance.now())
        const counts = byAgent.get(context.name) ?? new Map<Priority, number>()
        counts.set(message.priority, (counts.get(message.priority) ?? 0) + 1)
        byAgent.set(context.name, counts)
        return result
      })
      return () => {
        takeOff()
        for (const [name, listener] of listeners) unsubscribe(`swarmbus.${name}`, listener)
      }
    },
  }
}

/** Names for an id, shorter ones first: its last digits are a counter, those before them are random. */
function candidates(id: string): readonly string[] {
  const digits = id.replaceAll('-', '')
  const part = (random: number, counter: number): string =>
    digits.slice(-3 - random, -3) + digits.slice(digits.length - counter)
  return [part(4, 0), part(3, 1), part(2, 2), part(4, 3), part(9, 3), digits]
}

function textOf(data: unknown): string {
  const { text } = (data ?? {}) as { text?: unknown }
  return typeof text === 'string' ? text : (JSON.stringify(data) ?? '')
}

function byOf(data: unknown): string | undefined {
  const { by } = (data ?? {}) as { by?: unknown }
  return typeof by === 'string' ? by : undefined
}
