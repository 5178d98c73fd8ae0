-- End attempts: let go of what was held, put the run where the verdict says, write the journal.
-- Whoever no longer holds the token is refused, so an attempt is settled at most once.
--
-- ARGV: worker's id, worker's name, '1' to settle only what a worker with an ended lease left, ended_at (text),
--       then for each attempt its id, token, queue, where it goes (end, failed, later, front, gone), the queue where
--       it waits next, due time (milliseconds from now), journal entry (JSON, or empty), the number of hash fields
--       times two, the fields.
-- Returns for each attempt 1, or 0 when it was refused. Touches nothing where an end could not be told.

local worker, name, only_ended, ended_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local MARKER_SECONDS, FAILED_SECONDS, FAILED_MOST = 60, 604800, 10000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers, good, bad, stale = {}, 0, 0, 0
local held = 'jobs:held:' .. worker
local journal = redis.call('TYPE', 'jobs:journal')['ok']
if journal ~= 'stream' and journal ~= 'none' then
  return redis.error_reply('WRONGTYPE jobs:journal is in use for something else; rename or delete that key')
end
local alive = tonumber(redis.call('ZSCORE', 'jobs:leases', worker) or 0) > now

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

-- A place of the wrong type must not end the script half-way: the other of the two takes the run meanwhile.
local function put_back(id, key, queue, front, due)
  local list, scheduled = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  if (front or not holds(scheduled, 'zset')) and holds(list, 'list') then
    redis.call('HSET', key, 'status', 'queued')
    redis.call(front and 'LPUSH' or 'RPUSH', list, id)
  elseif holds(scheduled, 'zset') then
    redis.call('HSET', key, 'status', 'scheduled')
    redis.call('ZADD', scheduled, due / 1000, id)
  end
end

local at = 5
while at <= #ARGV do
  local id, token, queue, where = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local next_queue, wait, entry, count = ARGV[at + 4], tonumber(ARGV[at + 5]), ARGV[at + 6], tonumber(ARGV[at + 7])
  local fields = {}
  for i = 1, count do fields[i] = ARGV[at + 7 + i] end
  at = at + 8 + count

  if (only_ended == '1' and alive) or redis.call('HDEL', held, token) == 0 then
    stale = stale + 1
    answers[#answers + 1] = 0
  else
    local key, life = 'rq:job:' .. id, nil
    if holds('rq:wip:' .. queue, 'zset') then redis.call('ZREM', 'rq:wip:' .. queue, id .. ':' .. token) end
    if redis.call('TYPE', key)['ok'] == 'hash' then
      if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
      if where == 'later' then
        redis.call('HSET', key, 'ready_ms', now + wait)
        put_back(id, key, next_queue, false, now + wait)
      elseif where == 'front' then
        put_back(id, key, next_queue, true, now)
      elseif where == 'failed' then
        bad = bad + 1
        redis.call('HSET', key, 'status', 'failed', 'ended_at', ended_at)
        redis.call('EXPIRE', key, FAILED_SECONDS)
        if holds('rq:failed:' .. queue, 'zset') then
          redis.call('ZADD', 'rq:failed:' .. queue, time[1] + FAILED_SECONDS, id)
          redis.call('ZREMRANGEBYRANK', 'rq:failed:' .. queue, 0, -FAILED_MOST - 1)
        end
      elseif where == 'end' then
        good = good + 1
        redis.call('HSET', key, 'status', 'finished', 'ended_at', ended_at)
      else
        good = good + 1
        life = redis.call('HGET', key, 'life') or '0'
        redis.call('DEL', key)
        redis.call('HSET', key, 'life', life, 'status', 'finished')
        redis.call('EXPIRE', key, MARKER_SECONDS)
      end
    end
    if entry ~= '' then redis.call('XADD', 'jobs:journal', '*', 'at', now, 'e', entry) end
    answers[#answers + 1] = 1
  end
end

-- A count that is damaged is not worth the answer.
if redis.call('EXISTS', 'rq:worker:' .. name) == 1 then
  if good > 0 then redis.pcall('HINCRBY', 'rq:worker:' .. name, 'successful_job_count', good) end
  if bad > 0 then redis.pcall('HINCRBY', 'rq:worker:' .. name, 'failed_job_count', bad) end
end
if stale > 0 then redis.pcall('HINCRBY', 'jobs:counters', 'stale_settles', stale) end
return answers
