import { InvalidArgumentError, Option } from 'commander'
import { parsePattern, parseTopic } from '../message/topic.ts'

// What an option may be; commander puts the option's name before the sentence.

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/** Milliseconds of `500ms`, `30s`, `5m`, `2h`, `7d`. */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text)
  if (match === null) throw new InvalidArgumentError('Give a number with its unit: 500ms, 30s, 5m, 2h, 7d.')
  return Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0))
}

/** A whole number that is at least `min`. */
export function wholeFrom(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min)) throw new InvalidArgumentError(`Give a whole number, at least ${min}.`)
    return value
  }
}

/** A number above 0. */
export function parsePositive(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(value > 0)) throw new InvalidArgumentError('Give a number above 0.')
  return value
}

/** `fast`, `original`, or how many times faster than the original. */
export function parsePace(text: string): 'fast' | 'original' | number {
  if (text === 'fast' || text === 'original') return text
  const value = /^\d+(\.\d+)?x?$/.test(text) ? Number.parseFloat(text) : Number.NaN
  if (!(value > 0)) throw new InvalidArgumentError('Give fast, original, or a number above 0, as 10 or 0.5.')
  return value
}

/** Any text but the empty one. */
export function parseText(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.')
  return text
}

/** A topic, checked before any file is touched. Throws INVALID_TOPIC. */
export function topicText(text: string): string {
  parseTopic(text)
  return text
}

/** A pattern of topics, checked before any file is touched. Throws INVALID_TOPIC. */
export function patternText(text: string): string {
  parsePattern(text)
  return text
}

const TIME = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?(Z|[+-]\d{2}:?\d{2})?$/
const HOW = 'Give a time (2026-11-21T08:30, local unless it ends in Z or +01:00) or how long ago (15m, 2h, 7d).'

/** Wall-clock milliseconds of an ISO time, local unless it names its zone, or of so long before `nowMs`. */
export function readTime(text: string, nowMs: number): number | undefined {
  const ago = DURATION.exec(text.replace(/^-/, ''))
  if (ago !== null) return Math.max(0, Math.round(nowMs - parseDuration(ago[0])))
  const match = TIME.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second, milli] = match
    .slice(1, 8)
    .map((part, index) => Number(index === 6 ? (part ?? '0').padEnd(3, '0') : (part ?? '0'))) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined
  // Day 0 of the next month is the last one of this month.
  if (day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return undefined
  const zone = match[8]
  if (zone === undefined) return new Date(year, month - 1, day, hour, minute, second, milli).getTime()
  return Date.UTC(year, month - 1, day, hour, minute, second, milli) - zoneMs(zone)
}

function zoneMs(zone: string): number {
  if (zone === 'Z') return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))]
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3_600_000 + minutes * 60_000)
}

/** A parser of times, as {@link readTime} reads them. */
export function timeAt(nowMs: () => number): (text: string) => number {
  return (text) => {
    const time = readTime(text, nowMs())
    if (time === undefined || time < 0) throw new InvalidArgumentError(HOW)
    return time
  }
}

/** Where a reading begins. */
export type Start = 'first' | { readonly offset: string } | { readonly id: string } | { readonly time: number }

const MESSAGE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const OFFSET = /^[^/]+\/[a-z]+:\d+$/

/** A parser of `first`, an offset as `tasks/normal:17`, a message's id, or a time. */
export function startAt(nowMs: () => number): (text: string) => Start {
  return (text) => {
    if (text === 'first') return 'first'
    if (OFFSET.test(text)) return { offset: text }
    if (MESSAGE_ID.test(text)) return { id: text.toLowerCase() }
    const time = readTime(text, nowMs())
    if (time === undefined || time < 0) {
      throw new InvalidArgumentError(`Give first, an offset (tasks/normal:17), a message's id, or a time. ${HOW}`)
    }
    return { time }
  }
}

/** A parser of where a reading ends: a message's id (which is the last one), or a time (which is excluded). */
export function endAt(nowMs: () => number): (text: string) => { readonly id: string } | { readonly time: number } {
  return (text) => {
    if (MESSAGE_ID.test(text)) return { id: text.toLowerCase() }
    const time = readTime(text, nowMs())
    if (time === undefined || time < 0) throw new InvalidArgumentError(`Give a message's id or a time. ${HOW}`)
    return { time }
  }
}

/** The data of a message from a person's text: JSON if it is, else the text itself. What begins as JSON must be JSON. */
export function parseData(text: string, asText: boolean): unknown {
  if (asText) return text
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    if (!/^\s*[[{"]/.test(text)) return text
    throw new InvalidArgumentError(`it begins like JSON and is none: ${(error as Error).message}`)
  }
}

/** An option that takes one of several words. */
export function choice(flags: string, text: string, words: readonly string[]): Option {
  return new Option(flags, text).choices([...words])
}
