import { CLOCK } from './lua-clock.ts'

/** Lua: stores one entry; `put` needs the stream as `open` gave it. */
export const PUT = String.raw`
local streams = {}
local format = string.format
-- A stream, or what is wrong with it. With \`base\`, one of another channel.
local function open(name, base, channel)
  local stream = streams[name]
  if stream then return stream end
  if base and redis.call('HSETNX', base .. 'state', 'epoch', call.fresh) == 1 then
    redis.call('SADD', call.registry, channel)
  end
  base = base or C
  local key = base .. 's:' .. name
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then
    stream = { fault = 'WRONGTYPE ' .. key .. ' is a ' .. kind }
  else
    local meta = redis.call('HMGET', base .. 'm:' .. name, 'next', 'total', 'newest')
    stream = { base = base, name = name, key = key, next = tonumber(meta[1] or '1'), total = tonumber(meta[2] or '0'), newest = tonumber(meta[3] or '0'), count = 0, isNew = not meta[1] }
    if wall > stream.newest then stream.newest = wall end
  end
  streams[name] = stream
  return stream
end
-- Head of an entry: storedAt,total,due,delay,expires,session
local function put(stream, message, note, rest)
  local total = stream.total + #message + (note and #note or 0)
  -- Lua is slow at writing numbers: each once, and as the whole numbers that they are.
  local offset = stream.next
  local text = format('%d', offset)
  stream.newestText = stream.newestText or (stream.newest .. ',')
  local head = stream.newestText .. format('%d,', total) .. rest
  local id = text .. '-0'
  if note then
    redis.call('XADD', stream.key, id, 'h', head, 'm', message, 'n', note)
  else
    redis.call('XADD', stream.key, id, 'h', head, 'm', message)
  end
  stream.total = total
  stream.next = offset + 1
  stream.count = stream.count + 1
  return offset, text
end
local function close()
  for name, stream in pairs(streams) do
    if not stream.fault and stream.count > 0 then
      redis.call('HSET', stream.base .. 'm:' .. name, 'next', int(stream.next), 'total', int(stream.total), 'newest', int(stream.newest))
      if stream.isNew then redis.call('SADD', stream.base .. 'streams', name) end
      tell(name, nil, stream.base)
    end
  end
end
`

// ARGV: 2 the streams as a list of [name, highest offset that the caller saw acknowledged], 3 dedupMs, 4 most keys of a window, 5 the ways
// of the items, and the messages. Way: `p` stored as it is, key is its id; `a` the same, never compared; each followed by the number of its
// stream; or a list [stream, key or false, delay, expires, session, note]. No ways at all: all of them are `p1`, as most are.
// The answer: the ends of what was lost, then for each item its offset, or `offset:id:stream` of the first one, or what was wrong.
/** Lua: appends items, each key once within its window. Two windows take turns, each a hash: what is forgotten costs one removal. */
export const APPEND = `${CLOCK}${PUT}
local named = cjson.decode(ARGV[2])
local dedup, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local window, windowAt = tonumber(state[6] or '0'), tonumber(state[7] or '0')
local turned = false
local function key(of) return C .. 'keys:' .. (of % 2) end
local gone = now - windowAt >= 2 * dedup
local turns = not state[7] or gone or now - windowAt >= dedup or redis.call('HLEN', key(window)) >= most
save()
if turns then
  window = window + 1
  redis.call('UNLINK', key(window))
  if gone then redis.call('UNLINK', key(window + 1)) end
  redis.call('HSET', C .. 'state', 'window', window, 'windowAt', int(now))
end
local young, old = key(window), key(window + 1)
local hasOld = redis.call('EXISTS', old) == 1
local lost = {}
for i = 1, #named do
  local stream, seen = open(named[i][1]), named[i][2]
  if not stream.fault and stream.next <= seen then
    lost[#lost + 1] = named[i][1]
    lost[#lost + 1] = int(stream.next)
    lost[#lost + 1] = int(seen)
    stream.next = seen + 1
  end
end
local answers = { lost }
local of, keys, delays, rests, notes = {}, {}, {}, {}, {}
local count = #ARGV - 5
local sub = string.sub
local ways = ARGV[5] ~= '' and cjson.decode(ARGV[5])
if ways then
  for i = 1, count do
    local way = ways[i]
    if type(way) == 'table' then
      of[i], keys[i], delays[i], notes[i] = way[1], way[2] or '', way[3], way[6]
      rests[i] = ',' .. way[4] .. ',' .. way[5]
    else
      of[i], keys[i] = tonumber(sub(way, 2)), sub(way, 1, 1) == 'p' and sub(ARGV[5 + i], 14, 49) or ''
    end
  end
else
  for i = 1, count do keys[i] = sub(ARGV[5 + i], 14, 49) end
end
-- Where the first ones lie: asked for in pieces, since Lua's stack has an end.
local known = {}
for from = 1, count, 5000 do
  local to = math.min(count, from + 4999)
  local found = redis.call('HMGET', young, unpack(keys, from, to))
  for i = from, to do known[i] = found[i - from + 1] end
  if hasOld then
    found = redis.call('HMGET', old, unpack(keys, from, to))
    for i = from, to do known[i] = known[i] or found[i - from + 1] end
  end
end
local fresh, marks, marked = {}, {}, 0
local only = not ways and open(named[1][1])
for i = 1, count do
  local stream = only or open(named[of[i]][1])
  local key = keys[i]
  if stream.fault then
    answers[i + 1] = '!' .. stream.fault
  else
    local mark = key ~= '' and (known[i] or fresh[key])
    if mark then
      answers[i + 1] = mark
    else
      local message, rest = ARGV[5 + i], rests[i]
      if rest then rest = (delays[i] and (int(due + delays[i]) .. ',' .. int(delays[i])) or ',') .. rest end
      local offset, text = put(stream, message, notes[i] or nil, rest or ',,,')
      answers[i + 1] = offset
      if key ~= '' then
        local id = only and key or sub(message, 14, 49)
        mark = text .. (id == key and '::' or (':' .. id .. ':')) .. stream.name
        fresh[key] = mark
        marks[marked + 1] = key
        marks[marked + 2] = mark
        marked = marked + 2
      end
    end
  end
end
for from = 1, #marks, 4000 do redis.call('HSET', young, unpack(marks, from, math.min(#marks, from + 3999))) end
close()
return answers
`
