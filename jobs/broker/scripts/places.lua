-- Say whether runs that their rows call pending are in any place here, and put back those that are in none.
--
-- ARGV: 'look', 'search', 'restore' or 'reissue', then for each run its id, queue, life, attempts begun, due time
--       (milliseconds, or empty for now), what its lane is named by (or empty), the number of hash fields that follow
--       times two, and the fields.
-- Returns for each run 'there'; 'queued' (it says so, and 'look' does not search the list); 'behind' (there, with
-- fewer attempts than its row has); 'ended'; 'lost'; 'damaged' (a key is in use for something else); or 'restored'.
-- 'look' and 'search' change nothing. 'restore' leaves alone what has ended here, 'reissue' does not.

-- include: limits
local SUSPECTS = 'jobs.suspects.'
local ENDS = { finished = true, failed = true, canceled = true }
local verb = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local workers = redis.call('ZRANGE', 'jobs:leases', 0, -1)
local answers = {}

local function is_a(kind, key) return redis.call('TYPE', key)['ok'] == kind end

local function holds(key, kind) return is_a(kind, key) or is_a('none', key) end

local function tokens_of(id, queue)
  local tokens = {}
  if is_a('zset', 'rq:wip:' .. queue) then
    -- All have one score, so they are in the order of their names.
    for _, entry in ipairs(redis.call('ZRANGEBYLEX', 'rq:wip:' .. queue, '[' .. id .. ':', '(' .. id .. ';')) do
      tokens[#tokens + 1] = string.sub(entry, #id + 2)
    end
  end
  return tokens
end

local function is_held(id, queue)
  if not holds('rq:wip:' .. queue, 'zset') then return true end
  for _, token in ipairs(tokens_of(id, queue)) do
    for _, worker in ipairs(workers) do
      if is_a('hash', 'jobs:held:' .. worker) and redis.call('HEXISTS', 'jobs:held:' .. worker, token) == 1 then return true end
    end
  end
  -- RQ's set may have been emptied; what the workers hold is what counts.
  for _, worker in ipairs(workers) do
    for _, place in ipairs(is_a('hash', 'jobs:held:' .. worker) and redis.call('HVALS', 'jobs:held:' .. worker) or {}) do
      if string.sub(string.match(place, '^[^\n]*'), -#id - 1) == '\t' .. id then return true end
    end
  end
  return false
end

local function is_scheduled(id, queue)
  local key = 'rq:scheduled:' .. queue
  return is_a('zset', key) and redis.call('ZSCORE', key, id) ~= false
end

local function is_listed(id, queue)
  local key = 'rq:queue:' .. queue
  return is_a('list', key) and redis.call('LPOS', key, id) ~= false
end

-- From a lane that has no turns any more nobody would take it.
local function is_in_lane(id, lane) return lanes.is_known(lane) and lanes.has(lane, id) end

local function place_of(id, queue, life, begun)
  local key = 'rq:job:' .. id
  if is_a('none', key) then return 'lost' end
  if not is_a('hash', key) then return 'damaged' end
  local hash = redis.call('HMGET', key, 'life', 'status', 'attempts', 'lane')
  -- Plain RQ knows no lives: there is but one at a time.
  local there, status, attempts = tonumber(hash[1]) or life, hash[2], tonumber(hash[3]) or 0
  if there > life then return 'there' end
  if there < life then return 'lost' end
  if ENDS[status] then return 'ended' end
  if status == 'started' then return is_held(id, queue) and 'there' or 'lost' end
  local suspects = SUSPECTS .. queue
  if status == 'scheduled' then
    if not (is_scheduled(id, queue) or is_scheduled(id, suspects)) then return 'lost' end
  elseif verb ~= 'look' and not (is_in_lane(id, hash[4]) or is_listed(id, queue) or is_listed(id, suspects)) then
    return 'lost'
  end
  if attempts < begun then return 'behind' end
  return status == 'scheduled' and 'there' or 'queued'
end

local function clear(id, queue)
  for _, place in ipairs({ queue, SUSPECTS .. queue }) do
    if is_a('zset', 'rq:scheduled:' .. place) then redis.call('ZREM', 'rq:scheduled:' .. place, id) end
  end
  if is_a('zset', 'rq:failed:' .. queue) then redis.call('ZREM', 'rq:failed:' .. queue, id) end
  for _, token in ipairs(tokens_of(id, queue)) do
    redis.call('ZREM', 'rq:wip:' .. queue, id .. ':' .. token)
    -- Whoever holds an earlier life is refused when it settles.
    for _, worker in ipairs(workers) do
      limits.let_go(worker, token)
    end
  end
  if is_a('hash', 'rq:job:' .. id) then lanes.take_out(redis.call('HGET', 'rq:job:' .. id, 'lane'), id) end
  redis.call('DEL', 'rq:job:' .. id)
end

local function put(id, queue, due, limits, fields)
  local key, list, scheduled = 'rq:job:' .. id, 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  if not (holds(list, 'list') and holds(scheduled, 'zset') and holds('rq:queues', 'set')) then return 'damaged' end
  -- How far a run was holds here too.
  local kept = is_a('hash', key) and redis.call('HMGET', key, 'checkpoint', 'progress') or {}
  clear(id, queue)
  if kept[1] then redis.call('HSET', key, 'checkpoint', kept[1]) end
  if kept[2] then redis.call('HSET', key, 'progress', kept[2]) end
  local later = due and due > now
  redis.call('HSET', key, 'ready_ms', later and due or now, 'status', later and 'scheduled' or 'queued', unpack(fields))
  redis.call('SADD', 'rq:queues', list)
  if later then
    redis.call('ZADD', scheduled, due / 1000, id)
  elseif limits == '' or not lanes.put(queue .. '\t' .. limits, id) then
    redis.call('RPUSH', list, id)
  end
  return 'restored'
end

local at = 2
while at <= #ARGV do
  local id, queue, life, begun = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local due, limits, count = tonumber(ARGV[at + 4]), ARGV[at + 5], tonumber(ARGV[at + 6])
  local fields = {}
  for i = 1, count do fields[i] = ARGV[at + 6 + i] end
  at = at + 7 + count

  local place = place_of(id, queue, life, begun)
  if verb == 'restore' or verb == 'reissue' then
    if place == 'lost' or (place == 'ended' and verb == 'reissue') then
      place = put(id, queue, due, limits, fields)
    elseif place == 'behind' then
      redis.call('HSET', 'rq:job:' .. id, 'attempts', begun)
    end
  end
  answers[#answers + 1] = place
end
return answers
