import { CLOCK } from './lua-clock.ts'
import { GROUP } from './lua-group.ts'

// ARGV: 2 stream, 3 group, 4 id of the group that the caller knows (0: none), 5 from, 6 consumer, 7 most, 8 asked for (the first of
// them are handed out at once), 9 most bytes, 10 ackMs, 11 `1` to be told when there is more.
// The answer: [id of the group or 0 when it has gone, milliseconds until something falls due by itself or -1, offsets without an entry, then
// for each hand-out its line, its message, and its note if the line says so]. Line: offset,token,attempts,dueIn,flags (1 note, 2
// suspect),head. A run is a list instead: offset and token of the first one, then its entries as XRANGE gives them.
/** Lua: hands out the oldest that may go. The work is as large as what is handed out, not as the backlog. */
export const TAKE = `${CLOCK}${GROUP}${String.raw`
local stream, group, id = ARGV[2], ARGV[3], tonumber(ARGV[4])
local consumer, most, asked, bytes, ack = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
force()
look()
taker = consumer
local g = groupOf(stream, group)
if id == 0 then
  g = join(stream, group, ARGV[5])
elseif not g or g.id ~= id then
  keep()
  save()
  return { 0, -1, '' }
end
local answer = { g.id, -1, '' }
local bad = {}
local got, size = 0, 0
local mine = g.y .. consumer

local function fields(pairs)
  local head, message, note
  for i = 1, #pairs, 2 do
    local name = pairs[i]
    if name == 'h' then head = pairs[i + 1] elseif name == 'm' then message = pairs[i + 1] else note = pairs[i + 1] end
  end
  return head, message, note
end
local function hand(offset, entry, head, message, note)
  token = token + 1
  local dueIn = has(entry[7], HELD) and math.max(0, entry[8] - due) or 0
  entry[1], entry[2], entry[3], entry[4], entry[5] = 'L', token, consumer, now + dueIn + ack, ack
  entry[7] = lasting(entry[7])
  if got < asked then entry[7] = with(entry[7], OUT) end
  if entry[4] < g.soon then
    g.soon = entry[4]
    g.changed = true
  end
  if entry[10] then
    local session = sessionOf(g, entry[10])
    session.held = session.held + 1
    own(g, session, consumer)
  end
  write(g, offset, entry)
  got = got + 1
  size = size + #message
  note = entry[11] or note
  answer[#answer + 1] = (g.texts[offset] or int(offset)) .. ',' .. token .. ',' .. entry[6] .. ',' .. (dueIn == 0 and '0' or int(dueIn)) .. ',' .. ((note and 1 or 0) + (suspicion(entry[7]) > 0 and 2 or 0)) .. ',' .. head
  answer[#answer + 1] = message
  if note then answer[#answer + 1] = note end
end
-- Of a page, how many from the i-th on can be a run: they lie one behind the other, and have no session, note, or delay.
local function plainOf(page, i, room)
  local from, to = i, math.min(#page, i + room - 1)
  local sum = size
  while i <= to and sum < bytes do
    local pairs = page[i][2]
    if pairs[1] ~= 'h' or pairs[3] ~= 'm' or pairs[5] or string.sub(pairs[2], -4) ~= ',,,,' then break end
    sum = sum + #pairs[4]
    i = i + 1
  end
  local count = i - from
  -- Their ids ascend: when the last one is where it should be, no one is missing. Who looks for the hole finds it one by one.
  if count > 1 and tonumber(string.match(page[i - 1][1], '^%d+')) ~= tonumber(string.match(page[from][1], '^%d+')) + count - 1 then return 0, size end
  return count, sum
end
local function handRun(page, i, count, offset)
  local list = page
  if count < #page then
    list = {}
    for at = 1, count do list[at] = page[i + at - 1] end
  end
  g.runs[offset] = { token = token + 1, ends = now + ack, ack = ack, left = { offset, offset + count - 1 }, consumer = consumer, changed = true }
  answer[#answer + 1] = { offset, token + 1, list }
  token = token + count
  got = got + count
  if now + ack < g.soon then
    g.soon = now + ack
    g.changed = true
  end
end
local function drop(offset)
  bad[#bad + 1] = int(offset)
  g.dropped = g.dropped + 1
  g.changed = true
end

local ripe = redis.call('ZRANGEBYSCORE', g.w, '-inf', due, 'LIMIT', 0, 1000)
for i = 1, #ripe do
  local offset = tonumber(ripe[i])
  redis.call('ZREM', g.w, offset)
  local entry = read(g, offset)
  if entry then
    entry[8], entry[9] = 0, 0
    back(g, offset, entry)
  end
end

-- What was met before and may go: older than all that was not met.
while got < most and size < bytes do
  local open = redis.call('ZRANGE', g.r, 0, 0)[1]
  local own_ = redis.call('ZRANGE', mine, 0, 0)[1]
  local offset = tonumber(open or own_)
  if not offset then break end
  if own_ and tonumber(own_) < offset then offset = tonumber(own_) end
  local entry = read(g, offset)
  if not entry then
    redis.call('ZREM', g.r, offset)
    redis.call('ZREM', mine, offset)
  else
    local found = redis.call('XRANGE', g.s, offset .. '-0', offset .. '-0')[1]
    if entry[10] then
      local session = sessionOf(g, entry[10])
      redis.call('ZREM', g.h .. entry[10], offset)
      if found then own(g, session, consumer) end
      rehead(g, entry[10], session)
    else
      redis.call('ZREM', g.r, offset)
    end
    if found then
      hand(offset, entry, fields(found[2]))
    else
      forget(g, offset)
      drop(offset)
    end
  end
end

local meta = redis.call('HMGET', C .. 'm:' .. stream, 'next', 'first', 'total', 'before')
local behind = tonumber(meta[1] or '1')
local kept = behind - tonumber(meta[2] or '1')
local average = kept > 0 and (tonumber(meta[3] or '0') - tonumber(meta[4] or '0')) / kept or 0
local chunk = math.max(1, math.min(200, math.floor(bytes / (average + 1))))
local ahead = redis.call('SCARD', g.x) > 0
local lined, full = 0, false
while got < most and size < bytes and g.cursor < behind and not full do
  local page = redis.call('XRANGE', g.s, int(g.cursor) .. '-0', '+', 'COUNT', math.min(chunk, most - got))
  g.changed = true
  local known
  if ahead then
    local offsets = {}
    for i = 1, #page do offsets[i] = string.match(page[i][1], '^%d+') end
    known = #page > 0 and redis.call('SMISMEMBER', g.x, unpack(offsets)) or {}
  end
  if #page == 0 then
    while g.cursor < behind do
      if not ahead or redis.call('SREM', g.x, g.cursor) == 0 then drop(g.cursor) end
      g.cursor = g.cursor + 1
    end
  end
  local i = 1
  while i <= #page and size < bytes and got < most do
    local count, sum = 0, size
    if not ahead and got >= asked then count, sum = plainOf(page, i, most - got) end
    local text = string.match(page[i][1], '^%d+')
    local offset = tonumber(text)
    g.texts[offset] = text
    while g.cursor < offset do
      if not ahead or redis.call('SREM', g.x, g.cursor) == 0 then drop(g.cursor) end
      g.cursor = g.cursor + 1
    end
    if count > 1 then
      handRun(page, i, count, offset)
      size = sum
      i = i + count - 1
      offset = offset + count - 1
    elseif known and known[i] == 1 then
      redis.call('SREM', g.x, offset)
    else
      local head, message, note = fields(page[i][2])
      local dueAt, wait, session = string.match(head, '^%d+,%d+,(%d*),(%d*),[^,]*,(.*)$')
      dueAt = tonumber(dueAt) or 0
      if session == '' then session = false end
      local entry = { 'R', 0, '', 0, 0, 0, 0, 0, 0, session, false }
      if dueAt > due then
        entry[8], entry[9] = dueAt, tonumber(wait)
        delay(g, offset, entry)
        lined = lined + 1
      elseif session and ((sessionOf(g, session).owner ~= '' and sessionOf(g, session).owner ~= consumer) or sessionOf(g, session).head ~= 0) then
        back(g, offset, entry)
        lined = lined + 1
        full = lined % 100 == 0 and redis.call('HLEN', g.o) + lined > MOST_BEHIND
      else
        hand(offset, entry, head, message, note)
      end
    end
    g.cursor = offset + 1
    i = i + 1
    if full then break end
  end
  -- Others wait for this server as well.
  if lined >= 2000 then full = true end
end

local wake = NEVER
local first = redis.call('ZRANGE', g.w, 0, 0, 'WITHSCORES')
if first[2] then wake = tonumber(first[2]) - due end
wake = math.min(wake, g.soon - now)
local more = got == 0 and full and redis.call('HLEN', g.o) + lined <= MOST_BEHIND
if more then
  wake = 0
elseif got == 0 and full then
  g.full, g.stuck, g.changed = 1, true, true
end
if wake < NEVER / 2 then answer[2] = math.max(0, math.ceil(wake)) end
answer[3] = table.concat(bad, ',')
keep()
if ARGV[11] == '1' and got == 0 and not more then redis.call('SADD', C .. 'waiting:' .. stream, me .. '\n' .. group) end
save()
return answer
`}`
