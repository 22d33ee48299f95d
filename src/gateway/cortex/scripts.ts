import { type RedisReply, redisScript } from '../../broker/redis/link.ts'
import type { CortexFields } from './layout.ts'

/**
 * Adds an entry to each stream, once for an id. KEYS: the id's key, the streams. ARGV: how long the id is known (0: not at all), fields.
 * Answers the entry's id in the first stream, and whether it is new.
 */
export const ADD = redisScript(`
local window = tonumber(ARGV[1])
if window > 0 then
  local known = redis.call('GET', KEYS[1])
  if known then return {known, 0} end
end
local first
for at = 2, #KEYS do
  local id = redis.call('XADD', KEYS[at], '*', unpack(ARGV, 2))
  first = first or id
end
if window > 0 then redis.call('SET', KEYS[1], first, 'PX', window) end
return {first, 1}`)

/**
 * Takes entries for a member from the first stream that has any. KEYS: the streams. ARGV: group, member, how many, then for each stream
 * `>` for new entries, or an entry id: the member's own ones after that id come before.
 * Answers the stream's place (0: all are empty), whether the entries were the member's own, the entries, and the places of the streams
 * whose own entries ended.
 */
export const TAKE = redisScript(`
local ended = {}
local function take(key, after)
  local got = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', key, after)
  return got and got[1] and got[1][2] or {}
end
for at, key in ipairs(KEYS) do
  local after = ARGV[3 + at]
  if after ~= '>' then
    local own = take(key, after)
    if #own > 0 then return {at, 1, own, ended} end
    ended[#ended + 1] = at
  end
  local new = take(key, '>')
  if #new > 0 then return {at, 0, new, ended} end
end
return {0, 0, {}, ended}`)

const OWNED = `
local function owned(key, group, id, member)
  local found = redis.call('XPENDING', key, group, id, id, 1)
  return found[1] and found[1][2] == member and found[1][4]
end
`

/** Keeps entries as the member's own: those that still are. KEYS: a stream. ARGV: group, member, entry ids. Answers those that are not. */
export const KEEP = redisScript(`${OWNED}
local lost = {}
for at = 3, #ARGV do
  if owned(KEYS[1], ARGV[1], ARGV[at], ARGV[2]) then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[at], 'JUSTID')
  else lost[#lost + 1] = ARGV[at] end
end
return lost`)

/** Counts one more attempt of an entry that is the member's. KEYS: a stream. ARGV: group, member, entry id. Answers whether it is. */
export const AGAIN = redisScript(`${OWNED}
if not owned(KEYS[1], ARGV[1], ARGV[3], ARGV[2]) then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3])
return 1`)

/**
 * Settles an entry that is still the member's, after adding it elsewhere: one step. KEYS: its stream, and the other one if there is one.
 * ARGV: group, member, entry id, fields. Answers whether it was the member's.
 */
export const SETTLE = redisScript(`${OWNED}
if not owned(KEYS[1], ARGV[1], ARGV[3], ARGV[2]) then return 0 end
if KEYS[2] then redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4)) end
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])`)

/** An entry as Redis answers it; without fields it was deleted while it was pending. */
export interface RawEntry {
  readonly entryId: string
  readonly fields: CortexFields | undefined
}

/** The entries of a reply. */
export function entriesOf(reply: RedisReply | undefined): readonly RawEntry[] {
  return listOf(reply).flatMap((entry) => {
    // Before Redis 7, XAUTOCLAIM answers nil for a deleted entry.
    if (entry === null) return []
    const [id, pairs] = listOf(entry)
    return [{ entryId: String(id), fields: pairs === null || pairs === undefined ? undefined : fieldsOf(pairs) }]
  })
}

/** A list, or an empty one. */
export function listOf(reply: RedisReply | undefined): readonly RedisReply[] {
  return Array.isArray(reply) ? (reply as readonly RedisReply[]) : []
}

/** The fields as a command takes them. */
export function pairsOf(fields: CortexFields): readonly string[] {
  return Object.entries(fields).flat()
}

function fieldsOf(pairs: RedisReply): CortexFields {
  const list = listOf(pairs).map(String)
  const entries: [string, string][] = []
  for (let at = 0; at + 1 < list.length; at += 2) entries.push([list[at] ?? '', list[at + 1] ?? ''])
  return Object.fromEntries(entries)
}
