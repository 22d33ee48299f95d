import type { Replayed } from '../bus/kept-verbs.ts'
import { toJson } from '../message/codec.ts'
import type { Message } from '../message/message.ts'
import type { Output } from './output.ts'
import { cut, localTime, oneLine, pad, widthOf } from './text.ts'

/** Data as one line of text: a text as it is, anything else as JSON. Never throws. */
export function dataText(data: unknown): string {
  if (typeof data === 'string') return data
  try {
    return JSON.stringify(data) ?? String(data)
  } catch {
    // A bigint, or a map inside of something: told in the form that --json has for it.
    return JSON.stringify(toJson({ data } as Message).data) ?? ''
  }
}

/** A kept message as --json prints it. */
export function entryJson({ message, offset, channel, storedAt }: Replayed): object {
  return { offset, channel, storedAt: new Date(storedAt).toISOString(), message: toJson(message) }
}

/** Lines of messages that follow each other: the columns grow with what was seen, and data is cut to the width of the terminal. */
export function messageLines(out: Output): (entry: Replayed) => string {
  let offsets = 0
  let topics = 0
  return ({ message, offset, storedAt }) => {
    const { session, from, to, topic } = message
    offsets = Math.min(32, Math.max(offsets, widthOf(offset)))
    topics = Math.min(32, Math.max(topics, widthOf(topic)))
    const who = [
      from === undefined && to === undefined ? '' : `${from ?? ''}→${to ?? ''}`,
      session === undefined ? '' : `[${session}]`,
    ]
    const parts = [localTime(storedAt), pad(oneLine(offset), offsets), pad(oneLine(topic), topics)]
    const tail = [...who.filter(Boolean), dataText(message.data)].map(oneLine).join(' ')
    const used = parts.reduce((sum, part) => sum + widthOf(part) + 2, 0)
    const room = out.columns === undefined ? undefined : Math.max(20, out.columns - used)
    const [time = '', place = '', name = ''] = parts
    const shown = room === undefined ? tail : cut(tail, room)
    return `${out.look('dim', time)}  ${out.look('dim', place)}  ${out.look('cyan', name)}  ${shown}`
  }
}
