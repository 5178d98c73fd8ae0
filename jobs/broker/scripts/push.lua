-- Put runs where they wait: in their queue, or in its scheduled set when they are due later.
-- A run that is there already, in this life or a later one, is left alone; so a push may be repeated.
--
-- ARGV: for each run its id, queue, life, due time (milliseconds, or empty for now), the number of
--       hash fields that follow times two, and the fields.
-- Returns for each run 1 when it was put there, 0 when it was there, -1 when a key of its queue has the wrong type.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers = {}

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

local sound, listed = {}, holds('rq:queues', 'set')

local at = 1
while at <= #ARGV do
  local id, queue, life, due, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local fields = {}
  for i = 1, count do fields[i] = ARGV[at + 4 + i] end
  at = at + 5 + count

  local key, list = 'rq:job:' .. id, 'rq:queue:' .. queue
  local there = -1
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'hash' then
    there = tonumber(redis.call('HGET', key, 'life')) or math.huge
    -- Plain RQ knows no lives: what failed there may live again.
    if there == math.huge and redis.call('HGET', key, 'status') == 'failed' then there = -1 end
  end
  if kind ~= 'hash' and kind ~= 'none' then there = math.huge end

  if sound[queue] == nil then
    sound[queue] = listed and holds(list, 'list') and holds('rq:scheduled:' .. queue, 'zset') and holds('rq:failed:' .. queue, 'zset')
  end
  if not sound[queue] then
    answers[#answers + 1] = -1
  elseif there >= life then
    answers[#answers + 1] = 0
  else
    -- How far an iterating run was holds for its next life too.
    local checkpoint = kind == 'hash' and redis.call('HGET', key, 'checkpoint')
    if kind == 'hash' then
      redis.call('DEL', key)
      redis.call('ZREM', 'rq:failed:' .. queue, id)
    end
    local later = due and due > now
    redis.call('HSET', key, 'ready_ms', later and due or now, 'status', later and 'scheduled' or 'queued', unpack(fields))
    if checkpoint then redis.call('HSET', key, 'checkpoint', checkpoint) end
    redis.call('SADD', 'rq:queues', list)
    if later then
      redis.call('ZADD', 'rq:scheduled:' .. queue, due / 1000, id)
    else
      redis.call('RPUSH', list, id)
    end
    answers[#answers + 1] = 1
  end
end
return answers
