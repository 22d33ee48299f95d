import { BusError } from '../../kit/errors.ts'
import { undecodable } from '../data.ts'
import type { Message } from '../message.ts'
import {
  type CloudEvent,
  type CloudEventOptions,
  type FromCloudEventOptions,
  fromCloudEvent,
  isJsonType,
  toCloudEvent,
} from './event.ts'

/** An HTTP message: header names in lower case, and the bytes of the body. */
export interface HttpEvent {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** What came in: header names in any case, values as Node's `http` and others give them. */
export interface IncomingHttp {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

/** Media type of the structured form. */
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json'

const PREFIX = 'ce-'
const utf8 = new TextEncoder()

/** The message in the structured form: the whole event is the body. Throws as {@link toCloudEvent} does. */
export function toStructuredHttp(message: Message, options: CloudEventOptions = {}): HttpEvent {
  const body = utf8.encode(JSON.stringify(toCloudEvent(message, options)))
  return { headers: { 'content-type': `${CLOUD_EVENT_TYPE}; charset=utf-8` }, body }
}

/** The message in the binary form: attributes are `ce-` headers, the body is the data alone. Throws as {@link toCloudEvent} does. */
export function toBinaryHttp(message: Message, options: CloudEventOptions = {}): HttpEvent {
  const { data, data_base64: base64, datacontenttype, ...attributes } = toCloudEvent(message, options)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(attributes)) headers[PREFIX + name] = escaped(String(value))
  if (datacontenttype === undefined) return { headers, body: new Uint8Array() }
  headers['content-type'] = datacontenttype
  if (base64 !== undefined) return { headers, body: Uint8Array.from(Buffer.from(base64, 'base64')) }
  return { headers, body: utf8.encode(isJsonType(datacontenttype) ? JSON.stringify(data) : (data as string)) }
}

/**
 * The message of an HTTP request or answer in either form, told apart by its content type. Throws DECODE_FAILED naming the header or attribute.
 */
export function fromHttp(http: IncomingHttp, options: FromCloudEventOptions = {}): Message {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(http.headers))
    if (value !== undefined) headers[name.toLowerCase()] = String(value)
  const type = headers['content-type']
  if (type !== undefined && /^application\/cloudevents-batch/i.test(type))
    throw undecodable('content-type', 'is a batch; send events one by one')
  if (type !== undefined && /^application\/cloudevents/i.test(type)) {
    if (!isJsonType(type)) throw undecodable('content-type', `is "${type}"; allowed: ${CLOUD_EVENT_TYPE}`)
    return fromCloudEvent(json(http.body), options)
  }
  const event: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(PREFIX)) event[name.slice(PREFIX.length)] = unescaped(name, value)
  }
  if (event.specversion === undefined) throw undecodable('ce-specversion', 'is missing; allowed: "1.0"')
  delete event.data
  delete event.data_base64
  if (type !== undefined) event.datacontenttype = type
  Object.assign(event, dataOf(http.body, type))
  return fromCloudEvent(event as unknown as CloudEvent, options)
}

function dataOf(body: Uint8Array, type: string | undefined): object {
  if (type === undefined && body.length === 0) return {}
  // Section 3.1.1 of the HTTP binding names no default; JSON is that of the event format.
  if (type === undefined || isJsonType(type)) return { data: json(body) }
  if (/^text\//i.test(type)) return { data: text(body) }
  return { data_base64: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64') }
}

function text(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch (error) {
    throw undecodable('body', 'is no UTF-8', error)
  }
}

function json(body: Uint8Array): unknown {
  const read = text(body)
  try {
    return JSON.parse(read) as unknown
  } catch (error) {
    throw new BusError('DECODE_FAILED', `malformed JSON: ${(error as Error).message}`, {
      cause: error,
      details: { field: 'body' },
    })
  }
}

// Section 3.1.3.2 of the HTTP binding: space, double quote, percent and whatever is no printable ASCII are percent-encoded.
function escaped(value: string): string {
  return value.replace(/[^!#$&-~]+/gu, (part) => [...utf8.encode(part)].map(percent).join(''))
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}

function unescaped(name: string, value: string): string {
  const bare = /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
  try {
    return decodeURIComponent(bare.replace(/%(?![0-9a-f]{2})/gi, '%25'))
  } catch (error) {
    throw undecodable(name, 'is no percent-encoded UTF-8', error)
  }
}
