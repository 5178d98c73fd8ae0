-- Take runs that have no row out of a queue, under a token each, so that they can be settled as discarded.
--
-- ARGV: worker's id, worker's name, lease (milliseconds), started_at (text), the queue, the list's key or the lane
--       (without its prefix), '1' where it is a lane, where to begin in it, how many to look at, the latest created_at
--       that is meant (text), then as many tokens.
-- Returns {how many were looked at, how many were taken}.

-- include: lanes
local worker, name, lease, started_at = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local queue, place, in_lane = ARGV[5], ARGV[6], ARGV[7] == '1'
local first, most, latest = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local call, pcall = redis.call, redis.pcall
local key = in_lane and 'jobs:lane:' .. place or 'rq:queue:' .. place
local held, taken = 'jobs:held:' .. worker, 0
if call('TYPE', key)['ok'] ~= 'list' then return { 0, 0 } end
local kind = call('TYPE', held)['ok']
if kind ~= 'hash' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE ' .. held .. ' is in use for something else; rename or delete that key')
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('ZADD', 'jobs:leases', now + lease, worker)

-- What has a row is discarded by its row.
local function is_meant(hash)
  if not hash or hash.err then return false end
  local life, durable, foreign, created_at = hash[1], hash[2], hash[3], hash[4]
  return (not life or foreign or durable == '0') and (not created_at or created_at <= latest)
end

local function leave(id)
  if in_lane then return lanes.take_out(place, id) end
  return call('LREM', key, 1, id) > 0
end

local ids = call('LRANGE', key, first, first + most - 1)
for _, id in ipairs(ids) do
  local run = 'rq:job:' .. id
  local hash = call('TYPE', run)['ok'] == 'hash' and call('HMGET', run, 'life', 'durable', 'foreign', 'created_at')
  if is_meant(hash) and leave(id) then
    taken = taken + 1
    local token = ARGV[10 + taken]
    call('PERSIST', run)
    call('HSET', held, token, queue .. '\t' .. id)
    pcall('ZADD', 'rq:wip:' .. queue, '+inf', id .. ':' .. token)
    pcall('HDEL', run, 'lane')
    pcall('HINCRBY', run, 'attempts', 1)
    pcall('HSET', run, 'status', 'started', 'started_at', started_at, 'worker_name', name, 'claimed_ms', now)
  end
end
return { #ids, taken }
