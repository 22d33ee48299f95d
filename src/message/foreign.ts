import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { FORBIDDEN_NAMES, packData, undecodable, unpackData } from './data.ts'
import type { Headers } from './headers.ts'
import { isMessageId } from './ids.ts'

/** The header in which a message from another system keeps what its envelope has no place for. */
export const ORIGIN_HEADER = 'origin'

type Fields = Readonly<Record<string, unknown>>

/** One difference: a path, and the packed value there; without a value the path does not exist. */
type Change = readonly [path: readonly string[], value?: unknown]

interface Origin {
  /** The message it belongs to: an answer copies headers, but not the origin of its request. */
  readonly id: string
  readonly system: string
  /** The id in the other system, when it is not the message's own. */
  readonly foreignId?: string
  readonly changes: readonly Change[]
}

/**
 * An id for a message of another system: its own id if that has the form of a UUID; else a UUIDv8 (RFC 9562) made from the id, so
 * that the same message taken in twice has the same id twice.
 */
export function idFrom(system: string, foreignId: string): string {
  if (isMessageId(foreignId)) return foreignId
  const digits = createHash('sha256').update(`${system}\n${foreignId}`).digest('hex')
  const variant = (8 + (Number.parseInt(digits.charAt(16), 16) & 3)).toString(16)
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20, 32)}`
}

/** Plain data from outside without forbidden names; the first one found is refused with DECODE_FAILED and its place. */
export function mustBeClean(value: unknown, place: string, depth: number = 0): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > 64) throw undecodable(place, 'has more than 64 levels')
  for (const [name, inner] of Object.entries(value)) {
    if (FORBIDDEN_NAMES.has(name)) throw undecodable(`${place}.${name}`, 'is a forbidden name')
    mustBeClean(inner, `${place}.${name}`, depth + 1)
  }
}

/** The text of the origin header: what must be changed in `written` to get `original` back; undefined for nothing. */
export function originHeader(
  system: string,
  id: string,
  foreignId: string,
  original: Fields,
  written: Fields,
): string | undefined {
  const changes: Change[] = []
  compare(original, written, [], changes)
  if (changes.length === 0 && foreignId === id) return undefined
  const origin: Origin = { id, system, ...(foreignId === id ? {} : { foreignId }), changes }
  return JSON.stringify(origin)
}

/** The id that a message had in the other system. */
export function foreignIdOf(headers: Headers, system: string, id: string): string {
  const origin = originOf(headers)
  return origin?.system === system && origin.id === id ? (origin.foreignId ?? id) : id
}

/** The fields with the differences that the message's origin header notes for this system and this message. */
export function withOrigin(
  fields: Record<string, unknown>,
  headers: Headers,
  system: string,
  id: string,
): Record<string, unknown> {
  const origin = originOf(headers)
  if (origin?.system !== system || origin.id !== id) return fields
  for (const change of origin.changes) apply(fields, change)
  return fields
}

/** The headers that the other system should see. */
export function withoutOrigin(headers: Headers, ...others: readonly string[]): Record<string, string> {
  const hidden = new Set([ORIGIN_HEADER, ...others])
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hidden.has(name)))
}

function compare(original: Fields, written: Fields, path: readonly string[], changes: Change[]): void {
  for (const [name, value] of Object.entries(original)) {
    const other = Object.hasOwn(written, name) ? written[name] : undefined
    if (isFields(value) && isFields(other)) compare(value, other, [...path, name], changes)
    else if (!Object.hasOwn(written, name) || !isDeepStrictEqual(value, other))
      changes.push([[...path, name], packData(value)])
  }
  for (const name of Object.keys(written)) if (!Object.hasOwn(original, name)) changes.push([[...path, name]])
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A header may have been written by anybody: whatever has not the form of an origin is none. */
function originOf(headers: Headers): Origin | undefined {
  const text = headers[ORIGIN_HEADER]
  if (text === undefined) return undefined
  try {
    const origin = JSON.parse(text) as Partial<Origin> | null
    const good = typeof origin?.id === 'string' && typeof origin.system === 'string' && Array.isArray(origin.changes)
    return good && origin.changes?.every(isChange) ? (origin as Origin) : undefined
  } catch {
    return undefined
  }
}

function isChange(value: unknown): boolean {
  const [path, packed] = Array.isArray(value) ? (value as unknown[]) : []
  if (!Array.isArray(path) || path.length === 0) return false
  unpackData(packed)
  return path.every((step) => typeof step === 'string' && !FORBIDDEN_NAMES.has(step))
}

function apply(fields: Record<string, unknown>, change: Change): void {
  const [path, value] = change
  let place = fields
  for (const step of path.slice(0, -1)) {
    const inner = Object.hasOwn(place, step) ? place[step] : undefined
    const copy = isFields(inner) ? { ...inner } : {}
    place[step] = copy
    place = copy
  }
  const last = path.at(-1) as string
  if (change.length === 1) delete place[last]
  else place[last] = unpackData(value)
}
