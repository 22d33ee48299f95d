import { BusError, isBusError } from '../../kit/errors.ts'
import { packMessage } from '../../message/codec.ts'
import { FORBIDDEN_NAMES } from '../../message/data.ts'
import { MAX_DEPTH } from '../../message/freeze.ts'
import type { Message } from '../../message/message.ts'

// Hot path: a message as the text that `jsonCodec` writes, without making the object in between when the data needs no tag.

const DOLLAR = 36

/** The message as JSON text. Throws INVALID_PAYLOAD, INVALID_MESSAGE, PAYLOAD_TOO_LARGE (depth). */
export function textOf(message: Message): string {
  return fastText(message) ?? slowText(message)
}

/** The same by way of the codec: the one that decides what the form is. */
export function slowText(message: Message): string {
  try {
    return JSON.stringify(packMessage(message, 'json'))
  } catch (error) {
    if (isBusError(error)) throw error
    throw new BusError('INVALID_PAYLOAD', 'the data refuses to be read', { cause: error, details: { field: 'data' } })
  }
}

function fastText(message: Message): string | undefined {
  const { data, id, topic, from, to, session, expiresAt, correlationId, causationId, rootId, hops, replyTo } = message
  if (id.length !== 36) return undefined
  let text = `{"v":1,"id":"${id}","topic":${JSON.stringify(topic)}`
  try {
    if (data !== undefined) {
      if (!isBare(data, 0)) return undefined
      text += `,"data":${JSON.stringify(data)}`
    }
  } catch {
    // A revoked proxy throws at every look: the codec says where.
    return undefined
  }
  text += `,"time":${message.time},"priority":"${message.priority}"`
  if (from !== undefined) {
    if (!from.isWellFormed()) return undefined
    text += `,"from":${JSON.stringify(from)}`
  }
  if (to !== undefined) {
    if (!to.isWellFormed()) return undefined
    text += `,"to":${JSON.stringify(to)}`
  }
  if (session !== undefined) {
    if (!session.isWellFormed()) return undefined
    text += `,"session":${JSON.stringify(session)}`
  }
  if (expiresAt !== undefined) text += `,"expiresAt":${expiresAt}`
  if (correlationId !== undefined) {
    if (!correlationId.isWellFormed()) return undefined
    text += `,"correlationId":${JSON.stringify(correlationId)}`
  }
  if (causationId !== undefined) text += `,"causationId":${JSON.stringify(causationId)}`
  if (rootId !== id) text += `,"rootId":${JSON.stringify(rootId)}`
  if (hops !== 0) text += `,"hops":${hops}`
  if (replyTo !== undefined) text += `,"replyTo":${JSON.stringify(replyTo)}`
  for (const _ in message.headers) {
    const headers = headersText(message.headers)
    return headers === undefined ? undefined : `${text},"headers":${headers}}`
  }
  return `${text}}`
}

function headersText(headers: Message['headers']): string | undefined {
  for (const name in headers) {
    if (!name.isWellFormed() || !(headers[name] as string).isWellFormed()) return undefined
  }
  return JSON.stringify(headers)
}

/** True when the codec would write the data without a tag: then JSON.stringify alone writes the same. */
function isBare(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value !== 'object' || depth >= MAX_DEPTH) return false
  const prototype = Object.getPrototypeOf(value) as unknown
  if (prototype === Object.prototype || prototype === null) {
    for (const name in value) {
      if (name.charCodeAt(0) === DOLLAR || FORBIDDEN_NAMES.has(name) || !name.isWellFormed()) return false
      const inner = (value as Record<string, unknown>)[name]
      if (inner !== undefined && !isBare(inner, depth + 1)) return false
    }
    return true
  }
  if (prototype !== Array.prototype) return false
  const list = value as readonly unknown[]
  for (let index = 0; index < list.length; index++) if (!isBare(list[index], depth + 1)) return false
  return true
}
