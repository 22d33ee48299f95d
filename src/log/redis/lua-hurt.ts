// What reads nothing of the state, since that may be what is of another type.

/** Lua: the first key of the channel that is of another type than it should be, or nothing. ARGV: 1 the caller, 2… streams that may not be listed yet. */
export const HURT = String.raw`
local C = KEYS[1]
local call = cjson.decode(ARGV[1])
local function isOther(key, wanted)
  local kind = redis.call('TYPE', key).ok
  return kind ~= 'none' and kind ~= wanted and key .. ' is a ' .. kind .. ' and no ' .. wanted
end
local function first(list, of)
  for i = 1, #list, 2 do
    local found = isOther(of .. list[i], list[i + 1])
    if found then return found end
  end
end
local found = call.registry and isOther(call.registry, 'set')
  or first({ 'state', 'hash', 'processes', 'hash', 'streams', 'set', 'grouped', 'set', 'keys:0', 'hash', 'keys:1', 'hash' }, C)
if found then return found end
local names = {}
for i = 2, #ARGV do names[#names + 1] = ARGV[i] end
for _, key in ipairs({ 'streams', 'grouped' }) do
  for _, name in ipairs(redis.call('SMEMBERS', C .. key)) do names[#names + 1] = name end
end
for _, name in ipairs(names) do
  for _, pair in ipairs({ { 's:', 'stream' }, { 'm:', 'hash' }, { 'waiting:', 'set' }, { 'groups:', 'set' } }) do
    found = isOther(C .. pair[1] .. name, pair[2])
    if found then return found end
  end
  for _, group in ipairs(redis.call('SMEMBERS', C .. 'groups:' .. name)) do
    local key = name .. '\n' .. group
    for _, pair in ipairs({ { 'g:', 'hash' }, { 'l:', 'hash' }, { 'o:', 'hash' }, { 'r:', 'zset' }, { 'w:', 'zset' }, { 'x:', 'set' }, { 'q:', 'hash' } }) do
      found = isOther(C .. pair[1] .. key, pair[2])
      if found then return found end
    end
    local sessions = redis.call('HGETALL', C .. 'q:' .. key)
    for i = 1, #sessions, 2 do
      local owner = string.match(sessions[i + 1], '^[^,]*')
      found = isOther(C .. 'h:' .. key .. '\n' .. sessions[i], 'zset') or isOther(C .. 'y:' .. key .. '\n' .. owner, 'zset')
      if found then return found end
    end
  end
end
return false
`
