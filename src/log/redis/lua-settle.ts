import { PUT } from './lua-append.ts'
import { CLOCK } from './lua-clock.ts'
import { GROUP } from './lua-group.ts'

// ARGV: 2 groups as a list of [stream, group], 3 the steps as a list, 4 `1` when entries go along, 5… the messages that go along.
// A step is [number of the group, kind, offset, token, first offset of its run or 0, …]:
//   s  outcome, count            settled, with as many as follow it in its run         o  outcome, 1     settled by its offset, no token
//   n  delay, counts, hold, note given back                 f                          given back, neither counted nor stale
//   e  ms                        extended                   u                          it is out of the buffer
//   b                            its handler starts         c  consumer, tokens        given back, but for those tokens
// A token below zero says that the step may have been carried out already: then nothing is stale.
// `s` and `o` may end with what goes along: stream, note or false, number of its message or 0 for a copy, the rest of its
// head, and of another channel the begin of its keys and its name.
// The answer: for each step 1, or 0 for a stale lease, or a text that says what was wrong, or of several entries a list of those.
/**
 * Lua: settles, gives back, extends, all in one atomic step. Entries that go along are stored first: a server without memory to spare
 * refuses the first of them before anything has changed, so a call with them holds nothing else.
 */
export const SETTLE = `${CLOCK}${GROUP}${PUT}
local named, steps = cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local goes = ARGV[4] == '1'
if goes then save() else force() end
look()
local function note(value) return type(value) == 'string' and value or false end
-- What goes along is stored: true, or what was wrong.
local function along(g, offset, step, at)
  local to = step[at + 4] and open(step[at], step[at + 4], step[at + 5]) or open(step[at])
  if to.fault then return '!' .. to.fault end
  local message, rest = ARGV[4 + step[at + 2]], step[at + 3]
  if step[at + 2] == 0 then
    local found = redis.call('XRANGE', g.s, offset .. '-0', offset .. '-0')[1]
    if not found then return '!GONE ' .. g.stream .. ' has no entry ' .. offset end
    for i = 1, #found[2], 2 do
      if found[2][i] == 'm' then message = found[2][i + 1] end
      if found[2][i] == 'h' then rest = ',,' .. string.match(found[2][i + 1], '^%d+,%d+,%d*,%d*,(.*)$') end
    end
  end
  put(to, message, note(step[at + 1]), rest)
  return true
end
-- What is there is read at once.
local asked = {}
for i = 1, #steps do
  local step = steps[i]
  local text = step[3]
  step[3] = tonumber(text)
  if step[2] ~= 'o' and step[2] ~= 'c' and step[5] == 0 then
    local list = asked[step[1]]
    if not list then
      list = {}
      asked[step[1]] = list
    end
    list[#list + 1] = text
  end
end
for number, texts in pairs(asked) do
  local g = groupOf(named[number][1], named[number][2])
  if g then
    local found = redis.call('HMGET', g.o, unpack(texts))
    for i = 1, #texts do
      local offset = tonumber(texts[i])
      g.texts[offset] = texts[i]
      g.raw[offset] = found[i]
    end
  end
end
local function count(g, outcome, many)
  g[outcome] = g[outcome] + many
  g.changed = true
end
-- Settles what nobody holds.
local function settleAt(g, step, offset)
  local entry = offset < g.cursor and read(g, offset)
  local isOpen = entry and entry[1] ~= 'L'
  if offset >= g.cursor then
    isOpen = offset >= g.start and offset < nextOf(g.stream) and redis.call('SISMEMBER', g.x, offset) == 0
  end
  if not isOpen then return 0 end
  local stored = not goes or along(g, offset, step, 8)
  if stored ~= true then return stored end
  if entry then
    pluck(g, offset, entry)
    forget(g, offset)
  else
    redis.call('SADD', g.x, offset)
  end
  count(g, step[6], 1)
  return 1
end
-- The answer to a take was lost: what came with it goes back.
local function orphan(g, consumer, tokens)
  local known = {}
  for _, one in ipairs(tokens) do known[one] = true end
  for first, run in pairs(runsOf(g)) do
    if run and run.consumer == consumer then
      eachOf(run, function(offset)
        if not known[run.token + offset - first] then write(g, offset, single(run, first, offset)) end
      end)
      for offset in pairs(g.put) do cut(run, offset, offset) end
    end
  end
  for _, one in ipairs(held(g)) do
    local entry = one[2]
    if entry[3] == consumer and not known[entry[2]] then
      entry[7] = lasting(entry[7])
      release(g, entry)
      back(g, one[1], entry)
    end
  end
  return 1
end
-- What becomes of one lease.
local function leased(g, step, kind, offset, given, again)
  local run, entry = step[5] ~= 0 and runOf(g, step[5]), nil
  if run and run.token + offset - step[5] == given and cut(run, offset, offset) then
    entry = single(run, step[5], offset)
    write(g, offset, entry)
  else
    entry = read(g, offset)
  end
  if not entry or entry[1] ~= 'L' or entry[2] ~= given then
    if again then return (kind == 's' and not entry or kind == 'n' and entry and entry[1] ~= 'L') and 1 or 0 end
    if kind == 's' or kind == 'n' or kind == 'e' then
      g.stale = g.stale + 1
      g.changed = true
    end
    return 0
  end
  if kind == 's' then
    local stored = not goes or along(g, offset, step, 8)
    if stored ~= true then return stored end
    release(g, entry)
    forget(g, offset)
    count(g, step[6], 1)
  elseif kind == 'n' then
    local wait, counts, hold = step[6], step[7], step[8]
    if counts == 1 then entry[6] = entry[6] + 1 end
    if note(step[9]) then entry[11] = step[9] end
    entry[8] = wait > 0 and math.ceil(due + wait) or 0
    entry[9] = wait
    if hold == 1 then
      entry[7] = HELD + OUT + suspicion(entry[7])
      entry[4] = now + wait + entry[5]
      write(g, offset, entry)
    else
      entry[7] = suspicion(entry[7])
      release(g, entry)
      if wait > 0 then delay(g, offset, entry) else back(g, offset, entry) end
      -- What is given back to somebody who waits for its time is to be known to who sets an alarm for it.
      if wait > 0 then g.wakes = true end
    end
  elseif kind == 'f' then
    entry[7] = lasting(entry[7])
    release(g, entry)
    back(g, offset, entry)
  elseif kind == 'b' then
    if has(entry[7], HELD) then entry[8], entry[9] = 0, 0 end
    entry[7] = BEGUN + OUT + suspicion(entry[7])
    write(g, offset, entry)
  else
    entry[7] = with(entry[7], OUT)
    if kind == 'e' then
      entry[4] = now + step[6]
      if entry[4] < g.soon then
        g.soon = entry[4]
        g.changed = true
      end
    end
    write(g, offset, entry)
  end
  return 1
end
-- Settles entries of a run that lie one behind the other.
local function settleRun(g, step, offset, given, again)
  local many, run = step[7], runOf(g, step[5])
  if run and run.token + offset - step[5] == given and cut(run, offset, offset + many - 1) then
    count(g, step[6], many)
    return 1
  end
  local list = {}
  for i = 1, many do list[i] = leased(g, step, 's', offset + i - 1, given + i - 1, again) end
  return many == 1 and list[1] or list
end
local answers = {}
for i = 1, #steps do
  local step = steps[i]
  local kind, offset, text = step[2], step[3], step[4]
  local g = groupOf(named[step[1]][1], named[step[1]][2])
  local answer = 0
  if g then
    local raw, lead = g.raw[offset], 'P' .. text .. ';'
    if kind == 'o' then
      answer = settleAt(g, step, offset)
    elseif kind == 'c' then
      answer = orphan(g, step[6], step[7])
    elseif kind == 's' and not goes and raw and g.put[offset] == nil and not g.cut[offset] and string.sub(raw, 1, #lead) == lead then
      answer = 1
      forget(g, offset)
      count(g, step[6], 1)
    else
      local given = tonumber(text)
      if kind == 's' and not goes and step[5] ~= 0 then
        answer = settleRun(g, step, offset, math.abs(given), given < 0)
      else
        answer = leased(g, step, kind, offset, math.abs(given), given < 0)
      end
    end
  end
  answers[i] = answer
end
close()
keep()
save()
return answers
`
