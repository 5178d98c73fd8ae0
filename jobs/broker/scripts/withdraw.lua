-- Take a run back before it starts.
--
-- ARGV: id, queue, life, and for how long it is only put aside (milliseconds), empty for good: then it is scheduled,
--       and comes back by itself.
-- Returns 'withdrawn', 'absent' (in no place here), 'started' or 'ended'.

-- include: lanes
local id, queue, life, aside = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local MARKER_SECONDS = 60
local key = 'rq:job:' .. id
local status, lane = false, false
if redis.call('TYPE', key)['ok'] == 'hash' then
  local hash = redis.call('HMGET', key, 'life', 'status', 'lane')
  lane = hash[3]
  -- How an earlier life ended says nothing of this one.
  if (tonumber(hash[1]) or life) >= life then status = hash[2] end
end
if status == 'started' then return 'started' end
if status == 'finished' or status == 'failed' then return 'ended' end

local function removed_from(key, id)
  return redis.call('TYPE', key)['ok'] == 'zset' and redis.call('ZREM', key, id) or 0
end

if aside then
  local time = redis.call('TIME')
  local back = time[1] + time[2] / 1000000 + aside / 1000
  for _, place in ipairs({ queue, 'jobs.suspects.' .. queue }) do
    local list, scheduled = 'rq:queue:' .. place, 'rq:scheduled:' .. place
    local kind = redis.call('TYPE', scheduled)['ok']
    local due = kind == 'zset' and redis.call('ZSCORE', scheduled, id)
    local in_lane = not due and lane and lanes.queue_of(lane) == place and lanes.has(lane, id)
    local waits = in_lane or not due and redis.call('TYPE', list)['ok'] == 'list' and redis.call('LPOS', list, id)
    if waits and kind ~= 'zset' and kind ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. scheduled .. ' is in use for something else; rename or delete that key')
    end
    if waits then
      if in_lane then lanes.take_out(lane, id) else redis.call('LREM', list, 1, id) end
      redis.call('HDEL', key, 'lane')
      redis.call('HSET', key, 'status', 'scheduled')
    end
    if waits or due then
      redis.call('ZADD', scheduled, math.max(back, tonumber(due or 0)), id)
      return 'withdrawn'
    end
  end
  return 'absent'
end

-- A place of the wrong type must not end the script half-way.
local found = lanes.take_out(lane, id) and 1 or 0
for _, place in ipairs({ queue, 'jobs.suspects.' .. queue }) do
  if found == 0 then found = removed_from('rq:scheduled:' .. place, id) end
  if found == 0 and redis.call('TYPE', 'rq:queue:' .. place)['ok'] == 'list' then
    found = redis.call('LREM', 'rq:queue:' .. place, 1, id)
  end
end
removed_from('rq:failed:' .. queue, id)
-- The marker stops a push that is still under way.
redis.call('DEL', key)
redis.call('HSET', key, 'life', life, 'status', 'canceled')
redis.call('EXPIRE', key, MARKER_SECONDS)
return found == 1 and 'withdrawn' or 'absent'
