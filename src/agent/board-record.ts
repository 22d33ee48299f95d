import type { Rule } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import type { Offset } from '../log/log.ts'

// What lies in the stream of a blackboard. Values travel as JSON text: their size is exact, and every log gives back the same.

/** Deepest nesting of a value. */
const MOST_LEVELS = 64
const MOST_KEY = 512
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/

/** The name of a value. */
export const aKey: Rule = {
  allowed: `a text of 1 to ${MOST_KEY} characters, without control characters and lone surrogates`,
  ok: (value) =>
    typeof value === 'string' &&
    value !== '' &&
    value.length <= MOST_KEY &&
    value.isWellFormed() &&
    !CONTROL.test(value),
}

/** A value is to be written; whether it is, is decided by its place in the stream. */
export interface WriteRecord {
  readonly op: 'write'
  readonly key: string
  readonly json: string
  /** The version that the key must have then; 0: it must not exist. */
  readonly expect?: number
  /** Most keys, as its writer knows it: every reader must come to the same end. */
  readonly mostKeys: number
  /** At that limit the longest unwritten key goes, instead of the write being refused. */
  readonly evicts: boolean
}

/** A value is to be deleted. */
export interface DeleteRecord {
  readonly op: 'delete'
  readonly key: string
  readonly expect?: number
}

/** One value of a snapshot. */
export interface KeptRow {
  readonly key: string
  readonly json: string
  readonly version: number
  readonly time: number
  readonly by?: string
}

/** A part of a snapshot. */
export interface KeepRecord {
  readonly op: 'keep'
  readonly of: string
  readonly rows: readonly KeptRow[]
}

/** The end of a snapshot: with its parts it says how the board was once `upTo` had been read. */
export interface SnapshotRecord {
  readonly op: 'snapshot'
  readonly of: string
  readonly upTo: Offset
  readonly version: number
  readonly count: number
}

/** An entry of a blackboard's stream. */
export type BoardRecord = WriteRecord | DeleteRecord | KeepRecord | SnapshotRecord

const OPS: ReadonlySet<unknown> = new Set(['write', 'delete', 'keep', 'snapshot'] satisfies BoardRecord['op'][])

/** The record of a message's data; undefined for what no blackboard wrote. */
export function recordOf(data: unknown): BoardRecord | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  return OPS.has((data as Partial<BoardRecord>).op) ? (data as BoardRecord) : undefined
}

/** The value as JSON text. Throws INVALID_PAYLOAD naming the place of what JSON cannot hold, PAYLOAD_TOO_LARGE above `mostBytes`. */
export function jsonOf(key: string, value: unknown, mostBytes: number): string {
  checkJson(value, key, 0)
  const json = JSON.stringify(value)
  const bytes = Buffer.byteLength(json)
  if (bytes <= mostBytes) return json
  throw new BusError('PAYLOAD_TOO_LARGE', `the value of "${key}" has ${bytes} bytes as JSON; allowed: ${mostBytes}`, {
    details: { field: 'value', key, bytes, allowed: mostBytes },
  })
}

/** The value of a JSON text, deeply frozen. */
export function readValue(json: string): unknown {
  return JSON.parse(json, (_name, value: unknown) => Object.freeze(value))
}

function checkJson(value: unknown, at: string, level: number): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number' && Number.isFinite(value)) return
  if (typeof value !== 'object')
    throw notJson(at, `of type ${typeof value === 'number' ? `number: ${value}` : typeof value}`)
  if (level >= MOST_LEVELS) throw notJson(at, `deeper than ${MOST_LEVELS} levels, or a cycle`)
  if (Array.isArray(value)) {
    // By index: holes are seen, too.
    for (let index = 0; index < value.length; index++) checkJson(value[index], `${at}[${index}]`, level + 1)
    return
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) throw notJson(at, 'no plain object')
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') throw notJson(at, 'an object with toJSON')
  for (const [name, inner] of Object.entries(value)) checkJson(inner, `${at}.${name}`, level + 1)
}

function notJson(at: string, what: string): BusError {
  const allowed = 'null, true, false, finite numbers, texts, lists and plain objects'
  const path = at.length > 200 ? `${at.slice(0, 199)}…` : at
  return new BusError('INVALID_PAYLOAD', `"${path}" is ${what}; allowed: ${allowed}`, {
    details: { field: 'value', path, allowed },
  })
}
