import { RUNS } from './lua-runs.ts'

// What a group knows, and how it changes. Everything before `cursor` is settled, but for what is in `o`; at and behind it everything is
// open, but for what is in `x`. So what is kept is as large as what is open.
//
//   g:<stream>\n<group>   numbers of the group: id, start, cursor, counts, `soon` (no lease runs out before), `full` (too many wait)
//   l:…                   runs of leases: see lua-runs.ts
//   o:…                   offset → [state, token, consumer, until, ackMs, attempts, flags, due, delay, session, note]
//   r:…                   offsets that may go to anybody          w:…  offsets that wait for their time, by it
//   x:…                   offsets settled before they were met    q:…  session → owner,held,head
//   h:…\n<session>        offsets that wait for the owner of their session; the first of them, the head, lies in r, or in
//   y:…\n<consumer>       what only that consumer may have, since it owns the session
//
// States: L with a consumer · R may go · D waits for its time. Flags: 1 its handler was begun · 2 handed out · 4 kept for a retry · 8 came back
// from a holder otherwise than by its own hand, ever: whether a handler ran then is not known, so the next one says so before it starts.

/** Lua: groups, loaded when they are met and written by `keep`. */
export const GROUP = `${RUNS}${String.raw`
local BEGUN, OUT, HELD, SUSPECT = 1, 2, 4, 8
local FIELDS = { 'id', 'start', 'cursor', 'acked', 'dead', 'expired', 'dropped', 'skipped', 'stale', 'soon', 'full' }
-- Behind the owners of their sessions no more than so many wait one by one; the rest waits in the stream.
local MOST_BEHIND = 10000
local NEVER = 9007199254740991
local function has(flags, flag) return math.floor(flags / flag) % 2 == 1 end
local function with(flags, flag) return has(flags, flag) and flags or flags + flag end
-- What outlasts a holder.
local function lasting(flags) return flags - flags % 4 end
local function suspicion(flags) return flags >= SUSPECT and SUSPECT or 0 end
-- A lease of no session, which most are, is told by its first letters: to settle it nothing more needs to be read.
local function packed(entry)
  if entry[1] == 'L' and not entry[10] then return 'P' .. entry[2] .. ';' .. cmsgpack.pack(entry) end
  return cmsgpack.pack(entry)
end
local function unpacked(text)
  if string.byte(text) == 80 then text = string.sub(text, string.find(text, ';', 1, true) + 1) end
  return cmsgpack.unpack(text)
end
local groups = {}
-- The consumer that is taking: nobody needs to tell it what it may have.
local taker
local function entered(g, name)
  local values = redis.call('HMGET', g.g, unpack(FIELDS))
  if not values[1] then return false end
  for i = 1, #FIELDS do g[FIELDS[i]] = tonumber(values[i] or '0') end
  g.name = name
  return g
end
local function keysOf(stream, group)
  local name = stream .. '\n' .. group
  return {
    stream = stream, group = group, s = C .. 's:' .. stream, g = C .. 'g:' .. name, l = C .. 'l:' .. name, o = C .. 'o:' .. name, r = C .. 'r:' .. name,
    w = C .. 'w:' .. name, x = C .. 'x:' .. name, q = C .. 'q:' .. name, h = C .. 'h:' .. name .. '\n', y = C .. 'y:' .. name .. '\n',
    sessions = {}, runs = {}, put = {}, cut = {}, raw = {}, texts = {}, changed = false
  }
end
local expire
-- The group, with what ran out given back; false when there is none.
local function groupOf(stream, group)
  local name = stream .. '\n' .. group
  if groups[name] == nil then
    groups[name] = entered(keysOf(stream, group), name)
    if groups[name] and now >= groups[name].soon then expire(groups[name]) end
  end
  return groups[name]
end
local function nextOf(stream) return tonumber(redis.call('HGET', C .. 'm:' .. stream, 'next') or '1') end
local function firstOf(stream) return tonumber(redis.call('HGET', C .. 'm:' .. stream, 'first') or '1') end
local function sessionOf(g, name)
  local session = g.sessions[name]
  if session then return session end
  session = { owner = '', held = 0, head = 0 }
  local text = redis.call('HGET', g.q, name)
  if text then
    local owner, held, head = string.match(text, '^([^,]*),(%d+),(%d+)$')
    session = { owner = owner, held = tonumber(held), head = tonumber(head) }
  end
  g.sessions[name] = session
  return session
end
local function shelf(g, owner) return owner == '' and g.r or g.y .. owner end
local function own(g, session, owner)
  if session.owner == owner then return end
  if session.head ~= 0 then
    redis.call('ZREM', shelf(g, session.owner), session.head)
    redis.call('ZADD', shelf(g, owner), session.head, session.head)
    if owner == '' then g.wakes = true end
  end
  session.owner = owner
end
-- What waits behind the session has changed: its head is where its owner finds it.
local function rehead(g, name, session)
  local head = tonumber(redis.call('ZRANGE', g.h .. name, 0, 0)[1] or '0')
  if head == session.head then return end
  if session.head ~= 0 then redis.call('ZREM', shelf(g, session.owner), session.head) end
  if head ~= 0 then
    redis.call('ZADD', shelf(g, session.owner), head, head)
    if session.owner == '' or session.owner ~= taker then g.wakes = true end
  end
  session.head = head
end
local function read(g, offset)
  local put = g.put[offset]
  if put then return put end
  if g.cut[offset] then return false end
  local text = g.raw[offset]
  if text == nil then text = redis.call('HGET', g.o, offset) end
  return text and unpacked(text)
end
local function write(g, offset, entry)
  g.put[offset] = entry
  g.cut[offset] = nil
end
local function forget(g, offset)
  g.put[offset] = nil
  g.cut[offset] = true
end
-- Nobody holds it any more.
local function release(g, entry)
  entry[1], entry[2], entry[3], entry[4] = 'R', 0, '', 0
  if entry[10] then
    local session = sessionOf(g, entry[10])
    session.held = session.held - 1
    if session.held == 0 then own(g, session, '') end
  end
end
-- It may go again.
local function back(g, offset, entry)
  entry[1] = 'R'
  write(g, offset, entry)
  if entry[10] then
    local session = sessionOf(g, entry[10])
    redis.call('ZADD', g.h .. entry[10], offset, offset)
    rehead(g, entry[10], session)
  else
    redis.call('ZADD', g.r, offset, offset)
    g.wakes = true
  end
end
-- It waits with nobody: it is taken out of there.
local function pluck(g, offset, entry)
  if entry[1] == 'D' then
    redis.call('ZREM', g.w, offset)
  elseif entry[10] then
    redis.call('ZREM', g.h .. entry[10], offset)
    rehead(g, entry[10], sessionOf(g, entry[10]))
  else
    redis.call('ZREM', g.r, offset)
  end
end
local function delay(g, offset, entry)
  entry[1] = 'D'
  write(g, offset, entry)
  redis.call('ZADD', g.w, int(entry[8]), offset)
end
-- Entries of a run are themselves again.
local function dissolve(g, first, run)
  eachOf(run, function(offset) write(g, offset, single(run, first, offset)) end)
  run.left, run.changed = {}, true
end
-- Everything that is with somebody one by one, as it is now.
local function held(g)
  local all = {}
  local kept = redis.call('HGETALL', g.o)
  for i = 1, #kept, 2 do
    local offset = tonumber(kept[i])
    if not g.cut[offset] then
      local entry = g.put[offset] or unpacked(kept[i + 1])
      if entry[1] == 'L' then all[#all + 1] = { offset, entry } end
    end
  end
  for offset, entry in pairs(g.put) do
    if entry[1] == 'L' and redis.call('HEXISTS', g.o, offset) == 0 then all[#all + 1] = { offset, entry } end
  end
  table.sort(all, function(a, b) return a[1] < b[1] end)
  return all
end
-- A lease that ran out takes the later ones of its session with it. What nobody was given yet was no attempt.
expire = function(g)
  local soon, over = NEVER, {}
  for first, run in pairs(runsOf(g)) do
    if run and #run.left > 0 then
      if run.ends <= now then dissolve(g, first, run) else soon = math.min(soon, run.ends) end
    end
  end
  for _, one in ipairs(held(g)) do
    local offset, entry = one[1], one[2]
    local ranOut = entry[4] <= now
    if ranOut or (entry[10] and over[entry[10]] == entry[3]) then
      if entry[10] then over[entry[10]] = entry[3] end
      -- Of a suspect it is known whether its handler ran: nobody calls it before that is noted.
      if ranOut and has(entry[7], suspicion(entry[7]) > 0 and BEGUN or OUT) then entry[6] = entry[6] + 1 end
      entry[7], entry[8], entry[9] = SUSPECT, 0, 0
      release(g, entry)
      back(g, offset, entry)
    elseif entry[4] < soon then
      soon = entry[4]
    end
  end
  g.soon = soon
  g.changed = true
end
-- What a process held that has died goes back: handlers that ran count as attempts, waits for a retry go on.
local function inherit(g, dead)
  for first, run in pairs(runsOf(g)) do
    if run and string.sub(run.consumer, 1, #dead) == dead then dissolve(g, first, run) end
  end
  for _, one in ipairs(held(g)) do
    local offset, entry = one[1], one[2]
    if string.sub(entry[3], 1, #dead) == dead then
      if has(entry[7], BEGUN) then entry[6] = entry[6] + 1 end
      entry[7] = with(lasting(entry[7]), SUSPECT)
      release(g, entry)
      back(g, offset, entry)
    end
  end
end
local function keep()
  for _, g in pairs(groups) do
    if g then
      for name, session in pairs(g.sessions) do
        if session.held == 0 and session.head == 0 then
          redis.call('HDEL', g.q, name)
        else
          redis.call('HSET', g.q, name, session.owner .. ',' .. session.held .. ',' .. session.head)
        end
      end
      local list = {}
      -- Lua is slow at writing numbers: texts that are there are used.
      local texts = g.texts
      for offset in pairs(g.cut) do
        list[#list + 1] = texts[offset] or offset
        if #list == 4000 then redis.call('HDEL', g.o, unpack(list)) list = {} end
      end
      if #list > 0 then redis.call('HDEL', g.o, unpack(list)) list = {} end
      for offset, entry in pairs(g.put) do
        list[#list + 1] = texts[offset] or offset
        list[#list + 1] = packed(entry)
        if #list == 4000 then redis.call('HSET', g.o, unpack(list)) list = {} end
      end
      if #list > 0 then redis.call('HSET', g.o, unpack(list)) end
      keepRuns(g)
      -- Who found that too many wait goes on in the stream when there is some room.
      if g.full == 1 and not g.stuck and redis.call('HLEN', g.o) <= 0.8 * MOST_BEHIND then
        g.full, g.changed, g.wakes = 0, true, true
      end
      if g.changed then
        local values = {}
        for i = 1, #FIELDS do
          values[2 * i - 1] = FIELDS[i]
          values[2 * i] = int(g[FIELDS[i]])
        end
        redis.call('HSET', g.g, unpack(values))
      end
      if g.wakes then tell(g.stream, g.group) end
    end
  end
end
-- What ran out comes to who waits, whoever holds it.
local function overdue()
  for _, stream in ipairs(redis.call('SMEMBERS', C .. 'grouped')) do
    for _, group in ipairs(redis.call('SMEMBERS', C .. 'groups:' .. stream)) do
      local soon = redis.call('HGET', C .. 'g:' .. stream .. '\n' .. group, 'soon')
      if soon and now >= tonumber(soon) then groupOf(stream, group) end
    end
  end
end
-- The caller lives, and others may have died: one is dead when it has neither called for a while nor a connection any more. A process
-- that only stands still has its connection, and keeps its leases until they run out.
local function look()
  if not epoch then return end
  if call.living then redis.call('HSET', C .. 'processes', me, int(now)) end
  local looked = tonumber(state[8] or '0')
  if away or now < looked or call.idle >= 0 and now - looked < math.min(500, call.dead / 2) then return end
  redis.call('HSET', C .. 'state', 'looked', int(now))
  overdue()
  local all = redis.call('HGETALL', C .. 'processes')
  for i = 1, #all, 2 do
    if all[i] ~= me and now - tonumber(all[i + 1]) >= call.dead and redis.call('PUBSUB', call.numsub, C .. '@' .. all[i])[2] == 0 then
      redis.call('HDEL', C .. 'processes', all[i])
      for _, stream in ipairs(redis.call('SMEMBERS', C .. 'grouped')) do
        for _, group in ipairs(redis.call('SMEMBERS', C .. 'groups:' .. stream)) do
          local g = groupOf(stream, group)
          if g then inherit(g, all[i] .. ':') end
        end
      end
    end
  end
end
-- The offset of the first kept entry that was stored at or after a time, or the end of the stream.
local function since(stream, limit)
  local low, high = firstOf(stream), nextOf(stream)
  while low < high do
    local middle = math.floor((low + high) / 2)
    -- Behind a hole the next entry that is there speaks for it.
    local found = redis.call('XRANGE', C .. 's:' .. stream, int(middle) .. '-0', '+', 'COUNT', 1)[1]
    if not found then
      high = middle
    else
      local offset = tonumber(string.match(found[1], '^%d+'))
      local storedAt
      for i = 1, #found[2], 2 do
        if found[2][i] == 'h' then storedAt = tonumber(string.match(found[2][i + 1], '^%d+')) end
      end
      if storedAt >= limit then high = middle else low = offset + 1 end
    end
  end
  return low
end
local function join(stream, group, from)
  local g = groupOf(stream, group)
  if g then return g end
  local start = firstOf(stream)
  if from == 'now' then
    start = nextOf(stream)
  elseif string.sub(from, 1, 1) == 'a' then
    start = math.max(start, math.min(tonumber(string.sub(from, 2)) + 1, nextOf(stream)))
  elseif string.sub(from, 1, 1) == 's' then
    start = math.max(start, since(stream, tonumber(string.sub(from, 2))))
  end
  g = keysOf(stream, group)
  g.name = stream .. '\n' .. group
  for i = 1, #FIELDS do g[FIELDS[i]] = 0 end
  token = token + 1
  g.id, g.start, g.cursor, g.soon, g.changed = token, start, start, NEVER, true
  groups[g.name] = g
  redis.call('SADD', C .. 'groups:' .. stream, group)
  redis.call('SADD', C .. 'grouped', stream)
  return g
end
`}`
