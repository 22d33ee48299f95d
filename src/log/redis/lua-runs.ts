// Hot path. Most of what is handed out is new, of no session, waits for nothing, and is settled by its holder: such entries lie one behind
// the other, and are kept as one run, as long as nothing else befalls them.
//
//   l:<stream>\n<group>   first offset of a run → token of the first, until, ackMs, what is left of it as pairs from-to, consumer
//
// The token of an entry is that of the first and as much more as it lies behind it.

/** Lua: runs of leases. What becomes of one entry alone takes it out of its run first. */
export const RUNS = `
local function parsed(text)
  local token, ends, ack, rest, consumer = string.match(text, '^(%d+);(%d+);(%d+);([^;]*);(.*)$')
  local left, n = {}, 0
  for from, to in string.gmatch(rest, '(%d+)-(%d+)') do
    left[n + 1], left[n + 2] = tonumber(from), tonumber(to)
    n = n + 2
  end
  return { token = tonumber(token), ends = tonumber(ends), ack = tonumber(ack), left = left, consumer = consumer }
end
-- The run that begins there; false when there is none.
local function runOf(g, first)
  local run = g.runs[first]
  if run == nil then
    local text = redis.call('HGET', g.l, first)
    run = text and parsed(text)
    g.runs[first] = run
  end
  return run
end
local function runsOf(g)
  local kept = redis.call('HGETALL', g.l)
  for i = 1, #kept, 2 do
    local first = tonumber(kept[i])
    if g.runs[first] == nil then g.runs[first] = parsed(kept[i + 1]) end
  end
  return g.runs
end
-- Entries from … to leave their run; false when not all of them are in it.
local function cut(run, from, to)
  local left = run.left
  for i = 1, #left, 2 do
    local first, last = left[i], left[i + 1]
    if first <= from and to <= last then
      if first == from and last == to then
        table.remove(left, i)
        table.remove(left, i)
      elseif first == from then
        left[i] = to + 1
      elseif last == to then
        left[i + 1] = from - 1
      else
        left[i + 1] = from - 1
        table.insert(left, i + 2, to + 1)
        table.insert(left, i + 3, last)
      end
      run.changed = true
      return true
    end
  end
  return false
end
local function single(run, first, offset)
  return { 'L', run.token + offset - first, run.consumer, run.ends, run.ack, 0, 0, 0, 0, false, false }
end
local function sizeOf(run)
  local size = 0
  for i = 1, #run.left, 2 do size = size + run.left[i + 1] - run.left[i] + 1 end
  return size
end
local function eachOf(run, tell)
  for i = 1, #run.left, 2 do
    for offset = run.left[i], run.left[i + 1] do tell(offset) end
  end
end
local function keepRuns(g)
  for first, run in pairs(g.runs) do
    if run and run.changed then
      local left = run.left
      if #left == 0 then
        redis.call('HDEL', g.l, first)
      else
        local rest = {}
        for i = 1, #left, 2 do rest[#rest + 1] = int(left[i]) .. '-' .. int(left[i + 1]) end
        local text = int(run.token) .. ';' .. int(run.ends) .. ';' .. int(run.ack) .. ';' .. table.concat(rest, ',') .. ';' .. run.consumer
        redis.call('HSET', g.l, int(first), text)
      end
      run.changed = false
    end
  end
end
`
