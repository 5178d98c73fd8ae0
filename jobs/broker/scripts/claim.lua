-- Take runs off their queues and hold them, in one step: a run is never only in a process's memory.
--
-- ARGV: the server's id, how long the journal may be, the numbers of limits (JSON, or empty), worker's id, worker's
--       name, lease (milliseconds), started_at (text), how many tokens, how many fields, the tokens, the names of the
--       fields, then the queues in order.
-- Returns {now (milliseconds), {queue, id, token, attempts, {values of the fields} or, of a foreign run, false,
--          {field, value …}, and the number of the fuse that discards it, if one does} …}, or {now, why nothing is
--          claimed for now}. Where queues are paused, a list of now and these queues stands in the place of now.

-- include: limits
-- include: fuses
local QUARANTINE_MOST, ATTEMPTS_MOST = 1000, 2 ^ 31 - 2
-- As much as one call does in about 2 ms; the next one goes on.
local LANES_MOST, STRAYS_MOST, DUE_MOST = 200, 250, 10
local ELSEWHERE = { started = true, scheduled = true, finished = true, failed = true, canceled = true }
local server, limit = ARGV[1], tonumber(ARGV[2])
local worker, name, lease, started_at = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local tokens, count = tonumber(ARGV[8]), tonumber(ARGV[9])
local wanted = { unpack(ARGV, 10 + tokens, 9 + tokens + count) }
local call, pcall = redis.call, redis.pcall
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held, claimed, used, strays = 'jobs:held:' .. worker, { now }, 0, 0
-- What is written at the end, at once: the held tokens, and for each queue what RQ's tools show as started.
local places, started = {}, {}

-- What is taken off its queue must have where to go.
for key, kind in pairs({ [held] = 'hash', ['jobs:journal'] = 'stream', ['jobs:quarantine'] = 'list' }) do
  local there = call('TYPE', key)['ok']
  if there ~= kind and there ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is in use for something else; rename or delete that key')
  end
end
-- What lies here is from before a restart, from a snapshot or from another server, until it was compared with the rows.
local epoch = pcall('GET', 'jobs:epoch')
if type(epoch) ~= 'string' or (server ~= '' and epoch ~= server) then return { now, 'epoch' } end
if call('XLEN', 'jobs:journal') >= limit then return { now, 'journal' } end
call('ZADD', 'jobs:leases', now + lease, worker)

limits.told = ARGV[3]
if ARGV[3] ~= '' and call('EXISTS', 'jobs:timers') == 1 then limits.wake_due(DUE_MOST, false) end
local has_fuses = fuses.are_there and fuses.load(now)

-- Whether this call may look at more runs.
local function may_go_on() return strays < STRAYS_MOST and (not has_fuses or fuses.may_go_on()) end

-- A limited run that is in no lane of its limits is put there: it was held by a fuse, `passed`, or came to the list by
-- another way. Where a lane's keys are in use for something else, it is put off while it may not start; true is
-- returned where it may.
local function may_start(queue, id, key, limited, passed)
  strays = strays + 1
  if lanes.put(queue .. '\t' .. limited, id) then
    -- What a slow fuse let pass is not slowed twice.
    if passed then pcall('HSET', key, 'passed', passed.number) end
    return false
  end
  if not limits.blocking(limited) then return true end
  local put_off = pcall('ZADD', 'rq:scheduled:' .. queue, (now + 1000) / 1000, id)
  if type(put_off) == 'number' then
    pcall('HSET', key, 'status', 'scheduled')
  else
    pcall('RPUSH', 'rq:queue:' .. queue, id)
  end
  return false
end

-- From here on nothing may end the script: what is off its queue would be in no place. `passed` is the fuse that kept
-- the run in its lane, and `discarding` whether it is to end now; `in_lane` says that it comes from a lane of its
-- limits, and has room. Returns whether it was claimed.
local function take(queue, id, passed, discarding, in_lane)
  local key, foreign = 'rq:job:' .. id, false
  local values = pcall('HMGET', key, 'life', 'attempts', 'foreign', 'status', 'limits', unpack(wanted))
  if values.err then
    pcall('RPUSH', 'jobs:quarantine', id)
    pcall('LTRIM', 'jobs:quarantine', -QUARANTINE_MOST, -1)
    return
  end
  -- What is elsewhere or has ended is a second copy of its id, which lost data can bring about: it is dropped.
  if values[1] and ELSEWHERE[values[4]] then return end
  if not values[1] or values[3] then
    foreign = call('HGETALL', key)
    if #foreign == 0 then
      -- Its hash is gone: the recorder looks whether a row still wants it.
      pcall('XADD', 'jobs:journal', '*', 'e', cjson.encode({ entry = 'missing', run = id, queue = queue }))
      return
    end
    -- What plain RQ deletes a waiting job by must not take one that runs.
    call('PERSIST', key)
  elseif has_fuses and not discarding then
    if in_lane then passed = fuses.numbered(call('HGET', key, 'passed')) end
    local caught, slowed_by = fuses.catches(queue, id, values[6], passed)
    if caught then return end
    passed = slowed_by or passed
  end
  -- What is discarded takes nobody's slot.
  local limited = not foreign and not discarding and values[5]
  if limited and not in_lane and not may_start(queue, id, key, limited, passed) then return end
  if passed or limited then pcall('HDEL', key, 'lane', 'passed') end
  used = used + 1
  local token = ARGV[9 + used]
  -- A suspect waits apart, and belongs to the queue it was asked for.
  local home = pauses.home_of(queue)
  places[#places + 1] = token
  places[#places + 1] = limited and home .. '\t' .. id .. '\n' .. limited or home .. '\t' .. id
  local shown = started[home] or {}
  started[home] = shown
  shown[#shown + 1] = '+inf'
  shown[#shown + 1] = id .. ':' .. token
  -- A damaged number counts as none.
  local begun = values[2]
  begun = math.min(tonumber(begun and string.match(begun, '^%d+$')) or 0, ATTEMPTS_MOST) + 1
  pcall('HSET', key, 'attempts', begun, 'status', 'started', 'started_at', started_at, 'worker_name', name, 'claimed_ms', now)
  if limited then limits.enter(limited, token, worker) end
  claimed[#claimed + 1] = { home, id, token, begun, not foreign and values, foreign, discarding and passed.number or nil }
  return true
end

local function room() return may_go_on() and tokens - used or 0 end

local function discard(queue, id, fuse) take(queue, id, fuse, true) end

local function from_list(queue, most)
  local last = used + most
  while used < last and may_go_on() do
    -- A key that is no list holds no runs.
    local ids = pcall('LPOP', 'rq:queue:' .. queue, last - used)
    if not ids or ids.err then break end
    for _, id in ipairs(ids) do take(queue, id) end
  end
end

-- While it rings, who waits for lanes asks again at once.
local function stop_bell(queue) pcall('LPOP', 'jobs:bell:' .. queue) end

-- One run of each ready lane, and again: so who has many waits no shorter than who has one.
local function from_lanes(queue, most)
  local key, last, looked = 'jobs:lanes:' .. queue, used + most, 0
  local function take_one(id) return take(queue, id, nil, false, true) end
  while used < last and looked < LANES_MOST and may_go_on() do
    local ready = pcall('ZRANGEBYSCORE', key, '-inf', '(+inf', 'LIMIT', 0, math.min(last - used, LANES_MOST - looked))
    if ready.err or #ready == 0 then
      stop_bell(queue)
      break
    end
    looked = looked + #ready
    for _, lane in ipairs(ready) do limits.serve(queue, lane, take_one) end
  end
end

-- The queues that are paused, behind now.
local waits = { now }
for at = 10 + tokens + count, #ARGV do
  if pauses.hold(ARGV[at], now) then waits[#waits + 1] = ARGV[at] end
end
if waits[2] then claimed[1] = waits end

for at = 10 + tokens + count, #ARGV do
  if not pauses.hold(ARGV[at], now) then
    local queue = ARGV[at]
    if has_fuses then fuses.let_go(queue, room, take) end
    local free = tokens - used
    if call('EXISTS', 'jobs:lanes:' .. queue) == 0 then
      -- So it is where somebody deleted the set of the lanes.
      if limits.told ~= '' then stop_bell(queue) end
      from_list(queue, free)
      if strays > 0 then from_lanes(queue, tokens - used) end
    else
      -- Half and half, and what is odd in turns, as long as both have something.
      local odd = free % 2 == 1 and pcall('HINCRBY', 'jobs:turns', queue, 1) or 0
      from_list(queue, math.floor(free / 2) + (type(odd) == 'number' and odd or 0) % 2)
      from_lanes(queue, tokens - used)
      from_list(queue, tokens - used)
    end
  end
  if used == tokens or not may_go_on() then break end
end
if has_fuses then
  fuses.put_away()
  for at = 10 + tokens + count, #ARGV do
    if not pauses.hold(ARGV[at], now) then fuses.discard(ARGV[at], room, discard) end
  end
  fuses.note_rates()
end
if used > 0 then pcall('HSET', held, unpack(places)) end
-- A key that is no sorted set shows nothing; the run is started all the same.
for home, shown in pairs(started) do pcall('ZADD', 'rq:wip:' .. home, unpack(shown)) end
return claimed
