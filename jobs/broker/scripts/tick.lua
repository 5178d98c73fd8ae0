-- What a supervisor does each moment, on the server's clock: renew the leases of its children, and move what
-- is due from the scheduled sets to the queues.
--
-- ARGV: lease (milliseconds), how many to move at the most in all, the numbers of limits (JSON, or empty), how many
--       workers, their ids, then the queues.
-- Returns {milliseconds until the next run is due or -1, how many suspects wait, workers whose lease has ended …}.

-- include: limits
-- include: fuses
local SILENCE = 5000
-- As many keys of limits, and lanes of each queue, as are looked at in about 2 ms.
local DUE_MOST, LANES_MOST = 200, 10
local lease, most, workers = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local FIRST = 5 + workers
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- When nobody could renew a lease, for this server was away or could not be reached, none has ended by silence.
local ticked = redis.pcall('GET', 'jobs:ticked')
ticked = type(ticked) == 'string' and tonumber(ticked) or now
if now - ticked > math.max(lease, SILENCE) then
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', 'jobs:leases', '(0', now)) do
    redis.call('ZADD', 'jobs:leases', now + lease, worker)
  end
end
redis.call('SET', 'jobs:ticked', now)

for at = 5, FIRST - 1 do
  redis.call('ZADD', 'jobs:leases', 'XX', now + lease, ARGV[at])
end

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

-- What a key of the wrong type cannot take stays where it is; the other queues go on.
local sound = {}
for at = FIRST, #ARGV do
  local queue = ARGV[at]
  sound[at] = holds('rq:queue:' .. queue, 'list') and holds('rq:scheduled:' .. queue, 'zset')
end

local function promote(queue, room)
  local list, scheduled = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now / 1000, 'LIMIT', 0, room)
  for _, id in ipairs(due) do
    redis.call('ZREM', scheduled, id)
    -- Of a key of another type this is an error, which has neither.
    local hash = redis.pcall('HMGET', 'rq:job:' .. id, 'status', 'limits')
    local limited = hash[2]
    if hash[1] then redis.call('HSET', 'rq:job:' .. id, 'status', 'queued') end
    if not limited or not lanes.put(queue .. '\t' .. limited, id) then redis.call('RPUSH', list, id) end
  end
  return #due
end

-- In turns of equal length, so that a herd in one queue does not keep another's run from its time.
local turn, moved, more = math.max(1, math.floor(most / math.max(1, #ARGV - FIRST + 1))), 0, true
while more do
  more = false
  for at = FIRST, #ARGV do
    local room = math.min(turn, most - moved)
    if sound[at] and room > 0 then
      local count = promote(ARGV[at], room)
      moved = moved + count
      more = more or count == room
    end
  end
end

limits.told = ARGV[3]
limits.wake_due(DUE_MOST, true)
local next_due, suspects = limits.next_due(), 0
local has_fuses = fuses.are_there and fuses.load(now)
for at = FIRST, #ARGV do
  local queue = ARGV[at]
  local list, scheduled = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  -- Those of a paused queue are nothing to start a process for.
  local is_suspects = pauses.home_of(queue) ~= queue and not pauses.hold(queue, now)
  if is_suspects and holds(list, 'list') then
    suspects = suspects + redis.call('LLEN', list)
    if has_fuses and fuses.has_work(queue) then suspects = suspects + 1 end
  end
  if redis.call('TYPE', 'jobs:lanes:' .. queue)['ok'] == 'zset' then
    limits.heal_some(queue, LANES_MOST)
    -- Parked ones cannot be run.
    if is_suspects then suspects = suspects + redis.call('ZCOUNT', 'jobs:lanes:' .. queue, '-inf', '(+inf') end
  else
    lanes.still_bell(queue)
  end
  if sound[at] then
    local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
    if first[2] then
      local wait = math.max(0, math.ceil(tonumber(first[2]) * 1000) - now)
      if next_due < 0 or wait < next_due then next_due = wait end
    end
  end
end

local answer = { next_due, suspects }
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', 'jobs:leases', '-inf', now)) do
  answer[#answer + 1] = worker
end
return answer
