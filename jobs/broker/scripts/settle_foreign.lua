-- End attempts of runs that plain RQ enqueued: as settle.lua does, and with what RQ's own readers look for.
-- Whoever no longer holds the token is refused, so an attempt is settled at most once.
--
-- ARGV: worker's id, worker's name, '1' to settle only what a worker with an ended lease left, ended_at (text),
--       then for each attempt its id, token, queue, where it goes (end, failed, later, front), the queue where it
--       waits next, due time (milliseconds from now), '1' to wait at the front, journal entry (JSON), seconds that
--       RQ's readers keep it (-1 for ever, 0 not at all), milliseconds until it runs again though it ended (or
--       empty), its status where that is neither finished nor failed (or empty), the number of words of the result
--       and the words, the number of words of hash fields and the words.
-- Returns for each attempt 1, or 0 when it was refused. Touches nothing where an end could not be told.

local worker, name, only_ended, ended_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
-- Of a finished run RQ keeps as many results.
local RESULTS_MOST, FAILED_MOST, PARENTS = 10, 10000, 'jobs:parents'
-- A later run of the same id begins anew.
local OURS = { 'attempts', 'crashes', 'life', 'foreign', 'durable', 'ready_ms', 'claimed_ms', 'unknown_since_ms', 'away_ms', 'put_off' }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers, good, bad, stale = {}, 0, 0, 0
local held = 'jobs:held:' .. worker

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

for key, kind in pairs({ ['jobs:journal'] = 'stream', [PARENTS] = 'hash' }) do
  if not holds(key, kind) then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is in use for something else; rename or delete that key')
  end
end
local alive = tonumber(redis.call('ZSCORE', 'jobs:leases', worker) or 0) > now

local function wait_in(id, key, queue, front, wait)
  local list, scheduled = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  if (wait <= 0 or not holds(scheduled, 'zset')) and holds(list, 'list') then
    redis.call('HSET', key, 'status', 'queued', 'ready_ms', now)
    redis.call(front and 'LPUSH' or 'RPUSH', list, id)
  elseif holds(scheduled, 'zset') then
    redis.call('HSET', key, 'status', 'scheduled', 'ready_ms', now + wait)
    redis.call('ZADD', scheduled, (now + wait) / 1000, id)
  end
end

-- In a registry of RQ's, until RQ's own clean-up takes it out. RQ writes "for ever" as -1.
local function show_in(registry, id, keep)
  if keep ~= 0 and holds(registry, 'zset') then
    redis.call('ZADD', registry, keep < 0 and keep or time[1] + keep, id)
  end
end

local function keep_for(keep, ...)
  for _, key in ipairs({ ... }) do
    if keep > 0 then redis.call('EXPIRE', key, keep) elseif keep < 0 then redis.call('PERSIST', key) end
  end
end

local at = 5
local function next_words()
  local count, words = tonumber(ARGV[at]), {}
  for i = 1, count do words[i] = ARGV[at + i] end
  at = at + 1 + count
  return words
end

while at <= #ARGV do
  local id, token, queue, where, next_queue, wait = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5])
  local front, entry, keep, again = ARGV[at + 6] == '1', ARGV[at + 7], tonumber(ARGV[at + 8]), ARGV[at + 9]
  local named = ARGV[at + 10]
  at = at + 11
  local result, fields = next_words(), next_words()

  if (only_ended == '1' and alive) or redis.call('HDEL', held, token) == 0 then
    stale = stale + 1
    answers[#answers + 1] = 0
  else
    local key, results = 'rq:job:' .. id, 'rq:results:' .. id
    local dependents, dependencies = key .. ':dependents', 'rq:job::' .. id .. ':dependencies'
    local ended = where == 'end' or where == 'failed'
    if holds('rq:wip:' .. queue, 'zset') then redis.call('ZREM', 'rq:wip:' .. queue, id .. ':' .. token) end
    if redis.call('TYPE', key)['ok'] == 'hash' then
      redis.call('PERSIST', key)
      if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
      if not ended then
        wait_in(id, key, next_queue, front or where == 'front', wait)
      else
        local status = named ~= '' and named or where == 'end' and 'finished' or 'failed'
        redis.call('HDEL', key, unpack(OURS))
        redis.call('HSET', key, 'status', status, 'ended_at', ended_at)
        if #result > 0 and holds(results, 'stream') then
          redis.call('XADD', results, 'MAXLEN', RESULTS_MOST, '*', unpack(result))
          keep_for(keep, results)
        end
        -- Who waits for it is looked at by dependents.lua, in the same round trip or by any supervisor.
        if redis.call('EXISTS', dependents) == 1 then redis.call('HSET', PARENTS, id, status) end
        if status == 'finished' then good = good + 1 else bad = bad + 1 end
        show_in((status == 'finished' and 'rq:finished:' or 'rq:failed:') .. queue, id, keep)
        if status ~= 'finished' and holds('rq:failed:' .. queue, 'zset') then
          redis.call('ZREMRANGEBYRANK', 'rq:failed:' .. queue, 0, -FAILED_MOST - 1)
        end
        if again ~= '' then
          wait_in(id, key, queue, false, tonumber(again))
        elseif keep == 0 then
          redis.call('DEL', key, results)
        else
          keep_for(keep, key, dependents, dependencies)
        end
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
