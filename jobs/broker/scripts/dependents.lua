-- Enqueue what plain RQ deferred until another job's end, each once: to leave the deferred set is to be enqueued.
--
-- ARGV: '1' to look through RQ's deferred and ready sets too, enqueued_at (text), then the queues.
-- Returns how many were enqueued.

-- As many as one call looks at in a few milliseconds; the next call goes on.
local PARENTS, PARENTS_MOST, LOOKED_AT_MOST = 'jobs:parents', 50, 100
local sweeping, enqueued_at = ARGV[1] == '1', ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local enqueued = 0

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

local function field(id, name)
  return redis.call('TYPE', 'rq:job:' .. id)['ok'] == 'hash' and redis.call('HGET', 'rq:job:' .. id, name) or false
end

-- As RQ's `dependencies_are_met`. A job that is gone hinders nobody when one of the others has just ended, as in RQ;
-- in a sweep it does, for it may have failed long ago.
local function is_met(id, parent, ended_as)
  local may_fail = field(id, 'allow_dependency_failures') == '1'
  local dependencies = 'rq:job::' .. id .. ':dependencies'
  if redis.call('TYPE', dependencies)['ok'] ~= 'set' then return parent ~= nil end
  for _, one in ipairs(redis.call('SMEMBERS', dependencies)) do
    local status = one == parent and ended_as or field(one, 'status')
    if not status then
      if parent == nil then return false end
    elseif status ~= 'finished' and not (may_fail and status == 'failed') then
      return false
    end
  end
  return true
end

local function enqueue(id)
  local origin = field(id, 'origin')
  if not origin or not holds('rq:queue:' .. origin, 'list') or not holds('rq:queues', 'set') then return false end
  for _, registry in ipairs({ 'rq:deferred:', 'rq:ready:' }) do
    if holds(registry .. origin, 'zset') then redis.call('ZREM', registry .. origin, id) end
  end
  local front = field(id, 'enqueue_at_front') == '1'
  redis.call('HSET', 'rq:job:' .. id, 'status', 'queued', 'enqueued_at', enqueued_at, 'ready_ms', now)
  redis.call('SADD', 'rq:queues', 'rq:queue:' .. origin)
  redis.call(front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. origin, id)
  enqueued = enqueued + 1
  return true
end

-- Returns whether it waits no more for this parent.
local function look_at(id, parent, ended_as)
  local status = field(id, 'status')
  if status == 'ready_to_enqueue' then return enqueue(id) end
  if status ~= 'deferred' then return true end
  return is_met(id, parent, ended_as) and enqueue(id)
end

if redis.call('TYPE', PARENTS)['ok'] == 'hash' then
  local ended = redis.call('HGETALL', PARENTS)
  for i = 1, math.min(#ended, 2 * PARENTS_MOST), 2 do
    local parent, ended_as = ended[i], ended[i + 1]
    local dependents = 'rq:job:' .. parent .. ':dependents'
    if redis.call('TYPE', dependents)['ok'] == 'set' then
      for _, id in ipairs(redis.call('SMEMBERS', dependents)) do
        if look_at(id, parent, ended_as) then redis.call('SREM', dependents, id) end
      end
      -- Nobody can come to wait for a job that is not kept.
      if redis.call('EXISTS', 'rq:job:' .. parent) == 0 then redis.call('DEL', dependents) end
    end
    redis.call('HDEL', PARENTS, parent)
  end
end

if sweeping then
  for at = 3, #ARGV do
    for _, registry in ipairs({ 'rq:ready:', 'rq:deferred:' }) do
      local key = registry .. ARGV[at]
      if redis.call('TYPE', key)['ok'] == 'zset' then
        for _, id in ipairs(redis.call('ZRANDMEMBER', key, LOOKED_AT_MOST)) do
          if redis.call('TYPE', 'rq:job:' .. id)['ok'] == 'none' then
            redis.call('ZREM', key, id)
          elseif look_at(id) and redis.call('ZSCORE', key, id) then
            -- Enqueued or cancelled by somebody who left it here.
            redis.call('ZREM', key, id)
          end
        end
      end
    end
  end
end
return enqueued
