import type { KeptQueue } from '../bus/kept.ts'
import type { Env } from '../kit/env.ts'
import type { Message } from '../message/message.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'

/** Says which messages are meant for a queue: by topic, session and sender. */
export function interestOf({ patterns, session, sender }: KeptQueue): (message: Message) => boolean {
  const parsed = patterns.map((pattern) => parsePattern(pattern))
  return (message) => {
    if (session !== undefined && session !== message.session) return false
    if (sender !== undefined && sender !== message.from) return false
    const topic = message.topic.split('.')
    return parsed.some((pattern) => matchesTokens(pattern, topic))
  }
}

/** The group's name in the log: members with the same conditions share it. */
export function groupName({ group, patterns, session, sender }: KeptQueue): string {
  const bound = [session === undefined ? '' : ` session=${session}`, sender === undefined ? '' : ` sender=${sender}`]
  return `${group}:${patterns.toSorted().join(',')}${bound.join('')}`
}

/** The group's name as its subscriptions have it. */
export function shortName(name: string): string {
  const at = name.indexOf(':')
  return at < 0 ? name : name.slice(0, at)
}

/** Says which messages are too old for a queue, by the wall clock: a message may be older than the process. */
export function staleOf({ maxAgeMs }: KeptQueue, env: Env): (message: Message) => boolean {
  return maxAgeMs === undefined ? () => false : (message) => env.wallMs() - message.time > maxAgeMs
}
