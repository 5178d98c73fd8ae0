-- Remove runs that their rows call ended, whatever place they are in, and leave a marker that a late push finds.
--
-- ARGV: for each run its id, queue and life.
-- Returns how many were removed. One of a later life, or that has ended here too, is left alone.

-- include: limits
local MARKER_SECONDS, SUSPECTS, SHORT = 60, 'jobs.suspects.', 1000
local ENDS = { finished = true, failed = true, canceled = true }
local workers = redis.call('ZRANGE', 'jobs:leases', 0, -1)
local removed = 0

local function is_a(kind, key) return redis.call('TYPE', key)['ok'] == kind end

local function release(id, queue)
  local wip = 'rq:wip:' .. queue
  if not is_a('zset', wip) then return end
  -- All have one score, so they are in the order of their names.
  for _, entry in ipairs(redis.call('ZRANGEBYLEX', wip, '[' .. id .. ':', '(' .. id .. ';')) do
    redis.call('ZREM', wip, entry)
    for _, worker in ipairs(workers) do limits.let_go(worker, string.sub(entry, #id + 2)) end
  end
end

for at = 1, #ARGV, 3 do
  local id, queue, life = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local key = 'rq:job:' .. id
  local hash = is_a('hash', key) and redis.call('HMGET', key, 'life', 'status', 'lane') or {}
  if (tonumber(hash[1]) or math.huge) <= life and not ENDS[hash[2]] then
    for _, place in ipairs({ queue, SUSPECTS .. queue }) do
      if is_a('zset', 'rq:scheduled:' .. place) then redis.call('ZREM', 'rq:scheduled:' .. place, id) end
      -- To search a long list for each of many would hold the server: a claim drops what the marker says.
      local list = 'rq:queue:' .. place
      if is_a('list', list) and redis.call('LLEN', list) <= SHORT then redis.call('LREM', list, 0, id) end
    end
    if lanes.is_short(hash[3], SHORT) then lanes.take_out(hash[3], id) end
    release(id, queue)
    redis.call('DEL', key)
    redis.call('HSET', key, 'life', life, 'status', 'canceled')
    redis.call('EXPIRE', key, MARKER_SECONDS)
    removed = removed + 1
  end
end
return removed
