-- Take runs off their queues and hold them, in one step: a run is never only in a process's memory.
--
-- ARGV: the server's id, how long the journal may be, worker's id, worker's name, lease (milliseconds),
--       started_at (text), how many tokens, how many fields, the tokens, the names of the fields, then the queues
--       in order.
-- Returns {now (milliseconds), {queue, id, token, attempts, {values of the fields} or, of a foreign run, false,
--          {field, value …}, and the number of the fuse that discards it, if one does} …}, or {now, why nothing is
--          claimed for now}.

-- include: lanes
-- include: fuses
local QUARANTINE_MOST, ATTEMPTS_MOST, SUSPECTS = 1000, 2 ^ 31 - 2, 'jobs.suspects.'
local ELSEWHERE = { started = true, scheduled = true, finished = true, failed = true, canceled = true }
local server, limit = ARGV[1], tonumber(ARGV[2])
local worker, name, lease, started_at = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local tokens, count = tonumber(ARGV[7]), tonumber(ARGV[8])
local wanted = { unpack(ARGV, 9 + tokens, 8 + tokens + count) }
local call, pcall = redis.call, redis.pcall
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held, claimed, used = 'jobs:held:' .. worker, { now }, 0
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

local has_fuses = fuses.are_there and fuses.load(now)

-- From here on nothing may end the script: what is off its queue would be in no place. `passed` is the fuse that kept
-- the run in its lane, and `discarding` whether it is to end now.
local function take(queue, id, passed, discarding)
  local key, foreign = 'rq:job:' .. id, false
  local values = pcall('HMGET', key, 'life', 'attempts', 'foreign', 'status', unpack(wanted))
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
  elseif has_fuses then
    if not discarding and fuses.catches(queue, id, values[5], passed) then return end
    if passed then pcall('HDEL', key, 'lane') end
  end
  used = used + 1
  local token = ARGV[8 + used]
  -- A suspect waits apart, and belongs to the queue it was asked for.
  local home = string.sub(queue, 1, #SUSPECTS) == SUSPECTS and string.sub(queue, #SUSPECTS + 1) or queue
  places[#places + 1] = token
  places[#places + 1] = home .. '\t' .. id
  local shown = started[home] or {}
  started[home] = shown
  shown[#shown + 1] = '+inf'
  shown[#shown + 1] = id .. ':' .. token
  -- A damaged number counts as none.
  local begun = values[2]
  begun = math.min(tonumber(begun and string.match(begun, '^%d+$')) or 0, ATTEMPTS_MOST) + 1
  pcall('HSET', key, 'attempts', begun, 'status', 'started', 'started_at', started_at, 'worker_name', name, 'claimed_ms', now)
  claimed[#claimed + 1] = { home, id, token, begun, not foreign and values, foreign, discarding and passed.number or nil }
end

local function room() return tokens - used end

local function discard(queue, id, fuse) take(queue, id, fuse, true) end

for at = 9 + tokens + count, #ARGV do
  local queue = ARGV[at]
  if has_fuses then fuses.let_go(queue, room, take) end
  while used < tokens and (not has_fuses or fuses.may_go_on()) do
    -- A key that is no list holds no runs.
    local ids = pcall('LPOP', 'rq:queue:' .. queue, tokens - used)
    if not ids or ids.err then break end
    for _, id in ipairs(ids) do take(queue, id) end
  end
  if used == tokens or (has_fuses and not fuses.may_go_on()) then break end
end
if has_fuses then
  fuses.put_away()
  for at = 9 + tokens + count, #ARGV do fuses.discard(ARGV[at], room, discard) end
  fuses.note_rates()
end
if used > 0 then pcall('HSET', held, unpack(places)) end
-- A key that is no sorted set shows nothing; the run is started all the same.
for home, shown in pairs(started) do pcall('ZADD', 'rq:wip:' .. home, unpack(shown)) end
return claimed
