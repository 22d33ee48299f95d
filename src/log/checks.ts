import {
  aFlag,
  aFunction,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  whole,
} from '../kit/check.ts'
import type { Message } from '../message/message.ts'
import type { Along, ConsumeOptions, Item, NackOptions, ReadOptions, Settled, TrimOptions } from './log.ts'

const MOST_NAME = 512
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/

/** The name of a stream or group. */
const aName: Rule = {
  allowed: `a text of 1 to ${MOST_NAME} characters, without control characters and lone surrogates`,
  ok: (value) =>
    typeof value === 'string' &&
    value !== '' &&
    value.length <= MOST_NAME &&
    value.isWellFormed() &&
    !CONTROL.test(value),
}
const aNote: Rule = { allowed: 'a text', ok: (value) => typeof value === 'string' }
const anOffset: Rule = { allowed: 'an offset of this log', ok: (value) => numberOf(value) !== undefined }
const aTime: Rule = {
  allowed: 'wall-clock milliseconds',
  ok: (value) => typeof value === 'number' && !Number.isNaN(value),
}
const aSignal: Rule = { allowed: 'an AbortSignal', ok: (value) => value instanceof AbortSignal }
const aMessage: Rule = {
  allowed: 'a message',
  ok: (value) =>
    typeof value === 'object' &&
    value !== null &&
    aText.ok((value as Message).id) &&
    aText.ok((value as Message).topic),
}
const items: Rule = { allowed: 'a list', ok: (value) => Array.isArray(value) }
const from: Rule = {
  allowed: '"first", "now", { after: offset } or { since: milliseconds }',
  ok(value) {
    if (value === 'first' || value === 'now') return true
    if (typeof value !== 'object' || value === null) return false
    const { after, since } = value as { after?: unknown; since?: unknown }
    if (after !== undefined) return since === undefined && anOffset.ok(after)
    return aTime.ok(since)
  },
}
const settled = oneOf(['acked', 'dead', 'expired', 'dropped', 'skipped'] satisfies Settled[])

const ITEM = { message: aMessage, key: keyRule(), delayMs: milliseconds(0), note: aNote }
const CONSUME = { from, maxInFlight: whole(1), ackWaitMs: milliseconds(1), signal: aSignal }
const NACK = { delayMs: milliseconds(0), note: aNote, count: aFlag, hold: aFlag }
const ALONG = { stream: aName, note: aNote, message: aMessage }
const TRIM = { before: anOffset, maxCount: whole(0), maxBytes: whole(0), storedBefore: aTime }
const READ = {
  from: anOffset,
  after: anOffset,
  since: aTime,
  until: aTime,
  last: whole(0),
  openFor: aName,
  expiredBy: aTime,
  follow: aFlag,
  signal: aSignal,
}

function keyRule(): Rule {
  return { allowed: 'a non-empty text, or false', ok: (value) => value === false || aText.ok(value) }
}

/** The number of an offset; undefined for what is none. */
export function numberOf(offset: unknown): number | undefined {
  if (typeof offset !== 'string' || !/^(?:0|[1-9]\d{0,15})$/.test(offset)) return undefined
  const value = Number(offset)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Throws INVALID_OPTION. */
export function checkStream(owner: string, stream: unknown): void {
  checkOption(owner, 'stream', stream, aName)
}

/** Throws INVALID_OPTION. */
export function checkGroup(owner: string, stream: unknown, group: unknown): void {
  checkStream(owner, stream)
  checkOption(owner, 'group', group, aName)
}

/** Throws INVALID_OPTION, and what the store says of a message that it cannot keep. */
export function checkItems(list: readonly Item[], store: { check(message: Message): void }): void {
  checkOption('log.append', 'items', list, items)
  for (const item of list) {
    checkOptions('log.append', item, ITEM)
    checkOption('log.append', 'message', item.message, aMessage)
    store.check(item.message)
  }
}

/** Throws INVALID_OPTION. */
export function checkOffset(owner: string, offset: unknown): void {
  checkOption(owner, 'offset', offset, anOffset)
}

/** Throws INVALID_OPTION. */
export function checkSettled(owner: string, as: unknown): void {
  checkOption(owner, 'as', as, settled)
}

/** Throws INVALID_OPTION, and what the store says of a message that it cannot keep. */
export function checkAlong(owner: string, along: Along, store: { check(message: Message): void }): void {
  checkOptions(owner, along, ALONG)
  checkOption(owner, 'stream', along.stream, aName)
  if (along.message !== undefined) store.check(along.message)
}

/** Throws INVALID_OPTION. */
export function checkNack(options: NackOptions): void {
  checkOptions('delivery.nack', options, NACK)
}

/** Throws INVALID_OPTION. */
export function checkExtend(ms: number): void {
  checkOption('delivery.extend', 'ms', ms, milliseconds(1))
}

/** Throws INVALID_OPTION. */
export function checkFrom(owner: string, value: ConsumeOptions['from']): void {
  if (value !== undefined) checkOption(owner, 'from', value, from)
}

/** Throws INVALID_OPTION. */
export function checkConsume(options: ConsumeOptions): void {
  checkOptions('log.consume', options, CONSUME)
}

/** Throws INVALID_OPTION. */
export function checkTrim(options: TrimOptions): void {
  checkOptions('log.trim', options, TRIM)
}

/** Throws INVALID_OPTION. */
export function checkRead(options: ReadOptions): void {
  checkOptions('log.read', options, READ)
  if (options.from !== undefined && options.after !== undefined) {
    checkOption('log.read', 'after', options.after, never('nothing beside "from"'))
  }
  if (options.follow !== true) return
  for (const field of ['until', 'last'] as const) {
    if (options[field] !== undefined) checkOption('log.read', field, options[field], never('nothing beside "follow"'))
  }
}

/** Throws INVALID_OPTION. */
export function checkFind(channel: unknown, key: unknown): void {
  checkOption('log.find', 'channel', channel, aText)
  checkOption('log.find', 'key', key, aText)
}

/** Throws INVALID_OPTION. */
export function checkLogOptions(owner: string, options: object, more: Readonly<Record<string, Rule>> = {}): void {
  checkOptions(owner, options, {
    env: anObject,
    tailCount: whole(0),
    tailBytes: whole(0),
    onDamage: aFunction,
    ...more,
  })
}

function never(allowed: string): Rule {
  return { allowed, ok: () => false }
}
