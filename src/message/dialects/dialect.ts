import { shown } from '../../kit/check.ts'
import { systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { undecodable } from '../data.ts'
import { foreignIdOf, idFrom, mustBeClean, ORIGIN_HEADER, originHeader, withOrigin } from '../foreign.ts'
import { copyData } from '../freeze.ts'
import { IdMaker } from '../ids.ts'
import type { Message } from '../message.ts'
import { type Clocks, type MessageFields, restoreMessage } from '../restore.ts'

/** An object in the JSON form of another system. */
export type Foreign = Readonly<Record<string, unknown>>

/** Reads and writes the messages of another system, so that they can be taken in and given back. */
export interface Dialect {
  readonly name: string
  /**
   * The message that a bus can take. What the envelope has no place for stays in the header `origin`, at most 16 KiB of it, so that
   * {@link write} gives back what was read, field by field. Throws DECODE_FAILED naming the field.
   */
  read(object: unknown): Message
  /** The message in the form of the other system, also when it was made here. Never throws for a message that a bus delivered. */
  write(message: Message): Record<string, unknown>
}

/** What a dialect's reader finds; the rest of the envelope is made here. */
export interface Found extends Omit<MessageFields, 'id'> {
  /** The id in the other system; undefined when it has none. */
  readonly foreignId: string | undefined
}

/** Where a dialect takes time and ids from. */
export interface DialectOptions {
  /** Default: the clocks and randomness of this process. */
  readonly env?: Clocks & { random(): number }
}

/** What makes one dialect: a reader and a writer that know nothing of origins. */
export interface Grammar {
  readonly name: string
  /** Finds the fields of the envelope; `nowMs` is the wall clock, for those that are missing. */
  find(object: Foreign, nowMs: number): Found
  /** `idOf` gives the id that a message had in the other system. */
  fields(message: Message, idOf: (id: string) => string): Record<string, unknown>
}

/** A dialect from its grammar: adds ids, the check of names, and what makes it lossless. */
export function dialectOf(grammar: Grammar, options: DialectOptions = {}): Dialect {
  const { name } = grammar
  const { env = systemEnv() } = options
  const ids = new IdMaker(env as ConstructorParameters<typeof IdMaker>[0])
  const idOf =
    ({ headers }: Message) =>
    (id: string): string =>
      foreignIdOf(headers, name, id)

  return Object.freeze({
    name,
    read(object: unknown): Message {
      if (typeof object !== 'object' || object === null || Array.isArray(object)) {
        throw undecodable(name, `message is ${shown(object)}; allowed: an object`)
      }
      mustBeClean(object, name)
      const given = copyData(object) as Foreign
      const nowMs = Math.floor(env.wallMs())
      const { foreignId, ...found } = findIn(grammar, given, nowMs)
      const id = foreignId === undefined ? ids.next(nowMs) : idFrom(name, foreignId)
      const plain = restoreMessage({ ...found, id }, env)
      // Written once without its origin: whatever differs from what was given is the origin.
      const origin = originHeader(name, id, foreignId ?? id, given, grammar.fields(plain, idOf(plain)))
      if (origin === undefined) return plain
      return restoreMessage({ ...found, id, headers: { ...found.headers, [ORIGIN_HEADER]: origin } }, env)
    },
    write(message: Message): Record<string, unknown> {
      return withOrigin(grammar.fields(message, idOf(message)), message.headers, name, message.id)
    },
  })
}

function findIn(grammar: Grammar, given: Foreign, nowMs: number): Found {
  try {
    return grammar.find(given, nowMs)
  } catch (error) {
    if (!(error instanceof BusError) || error.code === 'DECODE_FAILED') throw error
    // A name or type of theirs that cannot be a topic of ours.
    throw undecodable('topic', error.message, error)
  }
}

/** A non-empty text. Throws DECODE_FAILED naming the field. */
export function textIn(object: Foreign, field: string, place: string = field): string {
  const value = object[field]
  if (typeof value === 'string' && value !== '') return value
  throw undecodable(place, `is ${shown(value)}; allowed: a non-empty text`)
}

/** A non-empty text, or undefined for a missing, null or empty one. Throws DECODE_FAILED for another type. */
export function optionalText(object: Foreign, field: string, place: string = field): string | undefined {
  const value = object[field]
  return value === undefined || value === null || value === '' ? undefined : textIn(object, field, place)
}

/** An object, or undefined for a missing or null one. Throws DECODE_FAILED for another type. */
export function optionalObject(object: Foreign, field: string, place: string = field): Foreign | undefined {
  const value = object[field]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'object' && !Array.isArray(value)) return value as Foreign
  throw undecodable(place, `is ${shown(value)}; allowed: an object`)
}

/**
 * Wall-clock milliseconds from seconds since 1970 or from an ISO text; a text without a zone is UTC. Undefined for a missing or null
 * one. Throws DECODE_FAILED naming the field.
 */
export function timeIn(object: Foreign, field: string, place: string = field): number | undefined {
  const value = object[field]
  if (value === undefined || value === null) return undefined
  let ms = Number.NaN
  if (typeof value === 'number') ms = Math.round(value * 1_000)
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d/.test(value)) {
    const zoned = /(?:Z|[+-]\d\d:?\d\d)$/i.test(value) || !/[T ]\d\d:/.test(value)
    ms = Math.floor(Date.parse(zoned ? value : `${value}Z`))
  }
  if (Number.isNaN(ms)) throw undecodable(place, `is ${shown(value)}; allowed: seconds since 1970, or an ISO time`)
  return ms
}

/** The texts of an object of labels; others stay in the origin. */
export function textsOf(object: Foreign | undefined): Record<string, string> {
  const texts = Object.entries(object ?? {}).filter(
    ([name, value]) => typeof value === 'string' && name !== ORIGIN_HEADER,
  )
  return Object.fromEntries(texts) as Record<string, string>
}

/** A value as it can stand in JSON: a copy, `null` for undefined. */
export function plainOf(data: unknown): unknown {
  return data === undefined ? null : copyData(data)
}
