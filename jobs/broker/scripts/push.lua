-- Put runs where they wait: in their queue, or in its scheduled set when they are due later.
-- A run that is there already, in this life or a later one, is left alone; so a push may be repeated.
--
-- What is put there in its first life is counted, by job and queue, in jobs:enqueued.
--
-- ARGV: pushed_at (text), then parcels of runs that have much in common, for each its job, queue, life, due time
--       (milliseconds, or empty for now), the number of words of the hash fields that its runs share, these, the
--       number of runs, for each run its id, data and description, and the number of texts of limits that follow: none,
--       or one for each run, whose lane is its queue, a tab and this text.
-- Returns how many runs were not there already, then the queues of which a key has the wrong type.

-- include: lanes
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pushed_at, added, answer = ARGV[1], 0, {}

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

local listed, sound = holds('rq:queues', 'set'), {}

local function is_sound(queue)
  if sound[queue] == nil then
    sound[queue] = listed and holds('rq:queue:' .. queue, 'list') and holds('rq:scheduled:' .. queue, 'zset')
      and holds('rq:failed:' .. queue, 'zset')
    if not sound[queue] then answer[#answer + 1] = queue end
  end
  return sound[queue]
end

-- Whether a run has to be put there; then what an ended life of it left is out of the way, but for its checkpoint and
-- its progress: how far a run was holds for its next life too.
local function is_wanted(id, key, queue, life)
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'hash' then return kind == 'none' end
  local there = redis.call('HMGET', key, 'life', 'status', 'checkpoint', 'progress')
  -- Plain RQ knows no lives: what failed there may live again.
  local lives = tonumber(there[1]) or (there[2] == 'failed' and -1) or math.huge
  if lives >= life then return false end
  redis.call('DEL', key)
  redis.call('ZREM', 'rq:failed:' .. queue, id)
  return true, there[3], there[4]
end

-- A count that is damaged is not worth the runs.
local function count(field, fresh)
  if redis.pcall('HINCRBY', 'jobs:enqueued', field, fresh) == fresh then
    redis.pcall('HSETNX', 'jobs:enqueued', '', time[1] .. '.' .. time[2])
  end
end

local at = 2
while at <= #ARGV do
  local name, queue, life, due = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local words, shared = tonumber(ARGV[at + 4]), {}
  for i = 1, words do shared[i] = ARGV[at + 4 + i] end
  at = at + 5 + words
  local before = added
  local first, last = at + 1, at + 3 * tonumber(ARGV[at])
  local limited = tonumber(ARGV[last + 1]) > 0
  at = last + 2
  if limited then at = at + (last - first + 1) / 3 end

  if is_sound(queue) then
    local later = due and due > now
    local list, scheduled = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
    local ready, status = later and due or now, later and 'scheduled' or 'queued'
    redis.call('SADD', 'rq:queues', list)
    for i = first, last, 3 do
      local id = ARGV[i]
      local key = 'rq:job:' .. id
      local wanted, checkpoint, progress = is_wanted(id, key, queue, life)
      if wanted then
        redis.call('HSET', key, 'ready_ms', ready, 'status', status, 'enqueued_at', pushed_at,
          'data', ARGV[i + 1], 'description', ARGV[i + 2], unpack(shared))
        if checkpoint then redis.call('HSET', key, 'checkpoint', checkpoint) end
        if progress then redis.call('HSET', key, 'progress', progress) end
        local limits = limited and ARGV[last + 2 + (i - first) / 3]
        if limits then redis.call('HSET', key, 'limits', limits) end
        if later then
          redis.call('ZADD', scheduled, due / 1000, id)
        elseif not limits or not lanes.put(queue .. '\t' .. limits, id) then
          redis.call('RPUSH', list, id)
        end
        added = added + 1
      end
    end
    if life == 0 and added > before then count(queue .. '\t' .. name, added - before) end
  end
end
table.insert(answer, 1, added)
return answer
