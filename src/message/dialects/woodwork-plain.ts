import { agentTopic } from '../address.ts'
import { undecodable } from '../data.ts'
import { isMessageId } from '../ids.ts'
import type { Message } from '../message.ts'
import { type Foreign, type Found, type Grammar, optionalText, plainOf, timeIn } from './dialect.ts'

/** True for a message of the simple bus of Woodwork, which has no event. */
export function isPlainForm(object: Foreign): boolean {
  const { event_type, topic, target } = object
  return event_type === undefined && (topic ?? target ?? undefined) !== undefined
}

/** Messages of the simple bus of Woodwork: `{id, topic or target, data, sender_id, timestamp}`. */
export const plainGrammar: Grammar = { name: 'woodwork.plain', find, fields }

/** An id that was made here, without the mark of its kind: read again it is the same message. */
export function unmarked(id: string): string {
  const rest = id.replace(/^(?:msg|hook)-/, '')
  return isMessageId(rest) ? rest : id
}

function find(object: Foreign, nowMs: number): Found {
  const to = optionalText(object, 'target')
  const topic = optionalText(object, 'topic') ?? (to === undefined ? undefined : agentTopic(to))
  if (topic === undefined) throw undecodable('topic', 'is missing, and so is "target"; allowed: one of them')
  return {
    foreignId: unmarked(optionalText(object, 'id') as string),
    topic,
    to,
    from: optionalText(object, 'sender_id'),
    data: object.data,
    time: timeIn(object, 'timestamp') ?? nowMs,
  }
}

function fields({ id, topic, to, data, from, time }: Message, idOf: (id: string) => string): Record<string, unknown> {
  const theirs = idOf(id)
  return {
    id: isMessageId(theirs) ? `msg-${theirs}` : theirs,
    ...(to !== undefined && topic === agentTopic(to) ? { target: to } : { topic }),
    data: plainOf(data),
    sender_id: from ?? null,
    timestamp: time / 1_000,
  }
}
