// The part of every script that comes first: who calls, what time it is, and whether the data are still those that the caller knows.
//
// One slot a channel: KEYS[1] is `prefix:{channel}:`, and every other key is that with a name behind it. ARGV[1] says who calls.
//
// The clock of a channel, `now`, is a count of milliseconds in its state. It goes on by what the server's clock says, but by no more than
// the caller knows by its own monotonic clock to have passed since its last call. So a server clock that is set forward steals no lease,
// and one that is set back stops no wait. Who calls for the first time knows nothing: then leases go on by a second at most (who
// holds one calls each second), while `due`, the clock of delays, goes on by all of it: a delay lasts no longer than was asked for, also
// when nobody was there.

/** Lua: the caller, the clock, and the guard of the epoch. `save()` writes the clock, and is the first write of a script that may be refused. */
export const CLOCK = String.raw`
local C = KEYS[1]
local call = cjson.decode(ARGV[1])
local me = call.me
local state = redis.call('HMGET', C .. 'state', 'epoch', 'at', 'now', 'slip', 'token', 'window', 'windowAt', 'looked')
local epoch = state[1]
if call.epoch and call.epoch ~= epoch then return redis.error_reply('EPOCH ' .. (epoch or 'none')) end
local time = redis.call('TIME')
local wall = time[1] * 1000 + math.floor(time[2] / 1000)
local at, now, slip = tonumber(state[2]), tonumber(state[3]), tonumber(state[4] or '0')
local token = tonumber(state[5] or '0')
local away = false
if not now then
  at, now = wall, wall
else
  local passed = math.max(0, wall - at)
  -- Who lives could not call for so long, and nobody else did: the server was away. Others get their time to come back, too.
  away = call.living and passed >= call.dead and call.idle >= call.dead
  if call.idle >= 0 then
    now = now + math.min(passed, call.idle)
  else
    now = now + math.min(passed, 1000)
    slip = slip + math.max(0, passed - 1000)
  end
end
local due = now + slip
local function int(number) return string.format('%.0f', number) end
local function save()
  if not epoch then
    epoch = call.fresh
    redis.call('HSET', C .. 'state', 'epoch', epoch)
    if call.registry then redis.call('SADD', call.registry, call.channel) end
  end
  if away then redis.call('HSET', C .. 'state', 'looked', int(now + call.dead)) end
  redis.call('HSET', C .. 'state', 'at', int(wall), 'now', int(now), 'slip', int(slip), 'token', int(token))
end
-- A server without memory to spare refuses a script at its first write of new data. What frees memory, or is about leases, must go on:
-- a removal goes first.
local function force() redis.call('DEL', C .. 'none') end
local function tell(stream, group, base)
  local key = (base or C) .. 'waiting:' .. stream
  local waiting = redis.call('SMEMBERS', key)
  for i = 1, #waiting do
    local who, whose = string.match(waiting[i], '^([^\n]*)\n(.*)$')
    if not group or whose == group then
      redis.call(call.publish, (base or C) .. '@' .. who, stream .. '\n' .. whose)
      redis.call('SREM', key, waiting[i])
    end
  end
end
`
