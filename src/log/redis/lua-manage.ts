import { CLOCK } from './lua-clock.ts'
import { GROUP } from './lua-group.ts'

const BEGIN = `${CLOCK}${GROUP}`

/** Lua: looks after the processes of the channel. ARGV 2: `1` when the caller ends. */
export const BEAT = `${BEGIN}
if not epoch then return 0 end
force()
if ARGV[2] == '1' then redis.call('HDEL', C .. 'processes', me) else look() end
keep()
save()
return 1
`

/** Lua: creates a group. ARGV: 2 stream, 3 group, 4 from: `first`, `now`, `a<offset>`, `s<time>`. Answers with its id. */
export const JOIN = `${BEGIN}
force()
look()
local g = join(ARGV[2], ARGV[3], ARGV[4])
keep()
save()
return g.id
`

/** Lua: forgets a group. ARGV: 2 stream, 3 group. A channel without streams and groups leaves no key behind. */
export const LEAVE = `${BEGIN}${String.raw`
force()
local stream, group = ARGV[2], ARGV[3]
local g = keysOf(stream, group)
local sessions = redis.call('HGETALL', g.q)
for i = 1, #sessions, 2 do
  redis.call('UNLINK', g.h .. sessions[i], g.y .. string.match(sessions[i + 1], '^[^,]*'))
end
local was = redis.call('EXISTS', g.g)
local old = redis.call('HGET', g.g, 'id')
if old then
  -- Who holds entries and waits for nothing is told, too.
  for _, who in ipairs(redis.call('HKEYS', C .. 'processes')) do
    redis.call(call.publish, C .. '@' .. who, stream .. '\n' .. group .. '\n' .. old)
  end
end
tell(stream, group)
redis.call('UNLINK', g.g, g.l, g.o, g.r, g.w, g.x, g.q)
redis.call('SREM', C .. 'groups:' .. stream, group)
if redis.call('EXISTS', C .. 'groups:' .. stream) == 0 then redis.call('SREM', C .. 'grouped', stream) end
local others = redis.call('HLEN', C .. 'processes') - redis.call('HEXISTS', C .. 'processes', me)
if redis.call('EXISTS', C .. 'grouped', C .. 'streams') == 0 and others == 0 and call.registry then
  redis.call('DEL', C .. 'state', C .. 'processes', C .. 'keys:0', C .. 'keys:1')
  redis.call('SREM', call.registry, call.channel)
elseif epoch then
  save()
end
return was
`}`

/** Lua: figures of the groups of a stream. ARGV 2: stream. For each group: name, then its numbers. */
export const FIGURES = `${BEGIN}
force()
look()
local answer = {}
for _, group in ipairs(redis.call('SMEMBERS', C .. 'groups:' .. ARGV[2])) do
  local g = groupOf(ARGV[2], group)
  if g then
    local leased, delayed = 0, redis.call('ZCOUNT', g.w, '(' .. int(due), '+inf')
    for _, run in pairs(runsOf(g)) do
      if run then leased = leased + sizeOf(run) end
    end
    local inRuns = leased
    for _, one in ipairs(held(g)) do
      if has(one[2][7], HELD) and one[2][8] > due then delayed = delayed + 1 else leased = leased + 1 end
    end
    keep()
    local behind = nextOf(ARGV[2])
    local open = inRuns + redis.call('HLEN', g.o) + math.max(0, behind - g.cursor) - redis.call('SCARD', g.x)
    local list = { group, open - leased - delayed, leased, delayed, g.acked, g.dead, g.expired, g.dropped, g.skipped, g.stale }
    answer[#answer + 1] = list
  end
end
keep()
if epoch then save() end
return answer
`

/** Lua: figures of the streams of the channel. For each: name, first, next, bytes, entries. */
export const STREAMS = `${CLOCK}
local answer = {}
for _, name in ipairs(redis.call('SMEMBERS', C .. 'streams')) do
  local meta = redis.call('HMGET', C .. 'm:' .. name, 'next', 'first', 'total', 'before')
  local bytes = tonumber(meta[3] or '0') - tonumber(meta[4] or '0')
  answer[#answer + 1] = { name, tonumber(meta[1] or '1'), tonumber(meta[2] or '1'), bytes, redis.call('XLEN', C .. 's:' .. name) }
end
return answer
`

/** Lua: streams that have groups. */
export const GROUPED = `${CLOCK}return redis.call('SMEMBERS', C .. 'grouped')`

/**
 * Lua: removes entries from the front of a stream, but none that a group has open. ARGV: 2 stream, 3 before, 4 most entries, 5 most
 * bytes, 6 stored before; each empty for none. Answers with how many went.
 */
export const TRIM = `${BEGIN}
force()
local stream = ARGV[2]
local key = C .. 's:' .. stream
local meta = redis.call('HMGET', C .. 'm:' .. stream, 'next', 'first', 'total', 'before')
if not meta[1] then return 0 end
local behind, first, total, before = tonumber(meta[1]), tonumber(meta[2] or '1'), tonumber(meta[3]), tonumber(meta[4] or '0')
local function totalAt(offset)
  local found = redis.call('XRANGE', key, int(offset) .. '-0', '+', 'COUNT', 1)[1]
  if not found then return total, total end
  local size, sum = 0, 0
  for i = 1, #found[2], 2 do
    if found[2][i] == 'h' then sum = tonumber(string.match(found[2][i + 1], '^%d+,(%d+)')) else size = size + #found[2][i + 1] end
  end
  return sum - size, sum
end
local wanted = 0
if ARGV[3] ~= '' then wanted = tonumber(ARGV[3]) end
if ARGV[4] ~= '' then wanted = math.max(wanted, behind - tonumber(ARGV[4])) end
if ARGV[5] ~= '' then
  -- The first entry with which and behind which lie no more than so many bytes.
  local low, high = first, behind
  while low < high do
    local middle = math.floor((low + high) / 2)
    if total - totalAt(middle) <= tonumber(ARGV[5]) then high = middle else low = middle + 1 end
  end
  wanted = math.max(wanted, low)
end
if ARGV[6] ~= '' then wanted = math.max(wanted, since(stream, tonumber(ARGV[6]))) end
wanted = math.min(wanted, behind)
for _, group in ipairs(redis.call('SMEMBERS', C .. 'groups:' .. stream)) do
  local g = groupOf(stream, group)
  if g then
    local oldest = g.cursor
    while oldest < wanted and redis.call('SISMEMBER', g.x, oldest) == 1 do oldest = oldest + 1 end
    wanted = math.min(wanted, oldest)
    for _, offset in ipairs(redis.call('HKEYS', g.o)) do wanted = math.min(wanted, tonumber(offset)) end
    for _, run in pairs(runsOf(g)) do
      if run and run.left[1] then wanted = math.min(wanted, run.left[1]) end
    end
  end
end
if wanted <= first then
  keep()
  save()
  return 0
end
local sum = totalAt(wanted)
local went = redis.call('XTRIM', key, 'MINID', int(wanted) .. '-0')
redis.call('HSET', C .. 'm:' .. stream, 'first', int(wanted), 'before', int(sum))
for _, group in ipairs(redis.call('SMEMBERS', C .. 'groups:' .. stream)) do
  local g = groupOf(stream, group)
  while g and g.cursor < wanted do
    redis.call('SREM', g.x, g.cursor)
    g.cursor = g.cursor + 1
    g.changed = true
  end
end
keep()
save()
return went
`

/** Lua: where a stream begins and ends. ARGV: 2 stream, 3 a time or empty, 4 a time or empty, 5 `1` to be told when there is more. */
export const RANGE = `${BEGIN}${String.raw`
local stream = ARGV[2]
local function at(time) return time ~= '' and since(stream, tonumber(time)) or 0 end
local answer = { firstOf(stream), nextOf(stream), at(ARGV[3]), at(ARGV[4]) }
if ARGV[5] ~= '' and answer[2] <= tonumber(ARGV[5]) then redis.call('SADD', C .. 'waiting:' .. stream, me .. '\n') end
return answer
`}`

/**
 * Lua: offsets that fit, ascending. ARGV: 2 stream, 3 group or empty, 4 from, 5 to (excluded), 6 expired by or empty, 7 most.
 * The answer: where to go on (0 at the end), then the offsets. First of all -1 when the group does not exist.
 */
export const FITTING = `${BEGIN}
local stream, from, to, most = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local g = ARGV[3] ~= '' and entered(keysOf(stream, ARGV[3]), ARGV[3])
local expired = ARGV[6] ~= '' and tonumber(ARGV[6])
if not g and not expired then return { -1 } end
local answer = { 0 }
from = math.max(from, firstOf(stream))
local function isExpired(offset)
  local found = redis.call('XRANGE', C .. 's:' .. stream, int(offset) .. '-0', int(offset) .. '-0')[1]
  if not found then return false end
  for i = 1, #found[2], 2 do
    if found[2][i] == 'h' then
      local expires = tonumber(string.match(found[2][i + 1], '^%d+,%d+,%d*,%d*,(%d*)') or '')
      return expires and expires <= expired
    end
  end
end
local at = from
if g and at < g.cursor then
  local list = {}
  for _, text in ipairs(redis.call('HKEYS', g.o)) do
    local offset = tonumber(text)
    if offset >= at and offset < to then list[#list + 1] = offset end
  end
  for _, run in pairs(runsOf(g)) do
    eachOf(run, function(offset) if offset >= at and offset < to then list[#list + 1] = offset end end)
  end
  table.sort(list)
  for i = 1, #list do
    if not expired or isExpired(list[i]) then answer[#answer + 1] = list[i] end
    if #answer > most and list[i] + 1 < to then
      answer[1] = list[i] + 1
      return answer
    end
  end
  at = g.cursor
end
-- One call is short: others wait for this server as well.
local until_ = math.min(to, at + 2000)
while at < until_ and #answer <= most do
  if not (g and redis.call('SISMEMBER', g.x, at) == 1) and (not expired or isExpired(at)) then answer[#answer + 1] = at end
  at = at + 1
end
if at < to then answer[1] = at end
return answer
`

/** Lua: where the message of a key lies: its mark. ARGV: 2 key, 3 dedupMs. */
export const FIND = `${CLOCK}
local window, passed = tonumber(state[6] or '0'), now - tonumber(state[7] or '0')
local dedup = tonumber(ARGV[3])
if passed >= 2 * dedup then return false end
local found = redis.call('HGET', C .. 'keys:' .. (window % 2), ARGV[2])
if not found and passed < dedup then found = redis.call('HGET', C .. 'keys:' .. ((window + 1) % 2), ARGV[2]) end
return found
`

/** Lua: after data were lost, the offsets of a stream go on above all that was seen. ARGV: pairs of stream and highest offset. Lists what was lost. */
export const MEND = `${CLOCK}
save()
local lost = {}
for i = 2, #ARGV, 2 do
  local behind = tonumber(redis.call('HGET', C .. 'm:' .. ARGV[i], 'next') or '1')
  local seen = tonumber(ARGV[i + 1])
  if behind <= seen then
    lost[#lost + 1] = ARGV[i]
    lost[#lost + 1] = int(behind)
    lost[#lost + 1] = int(seen)
    redis.call('HSET', C .. 'm:' .. ARGV[i], 'next', int(seen + 1))
    redis.call('HSETNX', C .. 'm:' .. ARGV[i], 'total', '0')
    redis.call('SADD', C .. 'streams', ARGV[i])
    tell(ARGV[i])
  end
end
return { epoch, lost }
`
