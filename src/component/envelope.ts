import { type Headers, readyHeaders } from '../message/headers.ts'
import type { Message } from '../message/message.ts'

// What stands beside the data of a routed message. The data itself is what was emitted, untouched; its source is `message.from`, its
// time is `message.time`.

/** The event under which a message was emitted. */
export const EVENT_HEADER = 'event'
/** A request whose parts are wanted one by one. */
export const STREAM_HEADER = 'stream'
/** What a component emitted and could not bring on its way: names the one time it was stopped. */
export const STOPPED_HEADER = 'stopped'
/** The pipe that stopped it. */
export const PIPE_HEADER = 'stopped-by'
/** The target that it did not reach. */
export const TARGET_HEADER = 'stopped-before'
/** What it was that was thrown. */
export const WHY_HEADER = 'stopped-why'

/** A text that begins so stands for a stream. */
export const STREAM_PREFIX = 'stream:'

const MOST_EVENTS = 1_000
const made = new Map<string, Headers>()

/** The headers of an event; the same object each time. */
export function headersFor(event: string): Headers {
  let headers = made.get(event)
  if (headers === undefined) {
    if (made.size >= MOST_EVENTS) made.clear()
    headers = readyHeaders({ [EVENT_HEADER]: event })
    made.set(event, headers)
  }
  return headers
}

/** The event under which a message was emitted; undefined for what was sent or asked otherwise. */
export function eventOf(message: Message): string | undefined {
  return message.headers[EVENT_HEADER]
}

/** The id of the stream that a text stands for. */
export function streamIdOf(data: unknown): string | undefined {
  return typeof data === 'string' && data.startsWith(STREAM_PREFIX) && data.length > STREAM_PREFIX.length
    ? data.slice(STREAM_PREFIX.length)
    : undefined
}
