import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { EventName } from '../bus/announce.ts'
import type { Note } from '../bus/delivery.ts'
import type { Env } from '../kit/env.ts'
import { describeThrown, isBusError } from '../kit/errors.ts'
import { Envelope, type Message } from '../message/message.ts'
import type { Step, StepEvent } from './step.ts'

/** Longest text of one error, in characters. */
const MOST_TEXT = 1_000

/** The announcements that are steps of a message. */
const HEARD: Partial<Record<EventName, StepEvent>> = {
  'message.published': 'published',
  'message.handled': 'handled',
  'message.acked': 'acked',
  'message.failed': 'failed',
  'message.retried': 'retried',
  'message.expired': 'expired',
  'message.dropped': 'dropped',
  'message.refused': 'refused',
  'message.died': 'died',
  'message.replayed': 'replayed',
  'dead-letter.redriven': 'redriven',
  'dead-letter.discarded': 'discarded',
  'dead-letter.evicted': 'evicted',
}

/** Whatever an announcement may hold. */
interface Fields {
  readonly bus: string
  readonly message?: Message
  readonly letter?: { readonly message: Message; readonly group: string; readonly reason: Step['reason'] }
  readonly record?: { readonly reason: Step['reason']; readonly error: string; readonly code?: string }
  readonly name?: string
  readonly group?: string
  readonly attempt?: number
  readonly delayMs?: number
  readonly startedMs?: number
  readonly reason?: Step['reason']
  readonly error?: unknown
}

/** What listens wants to know. */
export interface Hearer {
  readonly env: Env
  /** Keep what was published. */
  readonly data: boolean
  wants(topic: string): boolean
  heard(step: Step): void
  /** A step could not be made: nothing of that reaches the bus. */
  fault(error: unknown): void
}

/** Makes a step of every announcement of the bus that is one. Returns how to end that. */
export function hear(bus: string, hearer: Hearer): () => void {
  const ends = Object.entries(HEARD).map(([name, event]) => {
    const onAnnounced = (fields: unknown): void => {
      // What a listener throws would end the process: Node hands it to nobody else.
      try {
        if ((fields as Fields).bus !== bus) return
        const step = stepOf(event, fields as Fields, hearer)
        if (step !== undefined) hearer.heard(step)
      } catch (error) {
        hearer.fault(error)
      }
    }
    const channel = `swarmbus.${name}`
    subscribe(channel, onAnnounced)
    return () => void unsubscribe(channel, onAnnounced)
  })
  return () => {
    for (const end of ends) end()
  }
}

function stepOf(event: StepEvent, fields: Fields, { env, data, wants }: Hearer): Step | undefined {
  const message = fields.message ?? fields.letter?.message
  if (message === undefined || !wants(message.topic)) return undefined
  const time = env.wallMs()
  const { startedMs, record, letter } = fields
  const error = fields.error === undefined ? record?.error : textOf(fields.error)
  const code = fields.error === undefined ? record?.code : codeOf(fields.error)
  const attempt = fields.attempt ?? (event === 'handled' ? attemptOf(message) : undefined)
  return withoutUndefined({
    event,
    time,
    startedAt: startedMs === undefined ? undefined : time - Math.max(0, env.monotonicMs() - startedMs),
    id: message.id,
    topic: message.topic,
    rootId: message.rootId,
    causationId: message.causationId,
    from: message.from,
    to: message.to,
    session: message.session,
    priority: message.priority,
    name: fields.name,
    group: fields.group ?? letter?.group,
    attempt,
    delayMs: fields.delayMs,
    reason: fields.reason ?? record?.reason ?? letter?.reason,
    error,
    code,
    data: data && event === 'published' ? message.data : undefined,
  })
}

function attemptOf(message: Message): number {
  return (Envelope.noteOf(message as Envelope) as Note | undefined)?.attempt ?? 1
}

function textOf(error: unknown): string {
  const text = describeThrown(error)
  return text.length <= MOST_TEXT ? text : `${text.slice(0, MOST_TEXT - 1)}…`
}

function codeOf(error: unknown): string | undefined {
  return isBusError(error) ? error.code : undefined
}

function withoutUndefined(step: { readonly [Field in keyof Step]: Step[Field] | undefined }): Step {
  return Object.fromEntries(Object.entries(step).filter(([, value]) => value !== undefined)) as unknown as Step
}
