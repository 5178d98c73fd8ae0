-- End attempts: let go of what was held, put the run where the verdict says, write the journal.
-- Whoever no longer holds the token is refused, so an attempt is settled at most once.
--
-- ARGV: worker's id, worker's name, '1' to settle only what a worker with an ended lease left, ended_at (text),
--       then groups of attempts that end alike: their queue, where they go (end, failed, later, front, unbegun,
--       gone; 'unbegun' is 'front' of what no thread has begun), the queue where they wait next, due time (milliseconds
--       from now), the number of hash fields times two, the fields, the number of attempts, and for each its id, token
--       and journal entry (JSON, or empty).
-- Returns for each attempt 1, or 0 when it was refused. Touches nothing where an end could not be told.

-- include: limits
local worker, name, only_ended, ended_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local MARKER_SECONDS, FAILED_SECONDS, FAILED_MOST = 60, 604800, 10000
local SHORT, TOGETHER = 100, 50
local call, pcall = redis.call, redis.pcall
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers, entries, good, bad, stale = {}, {}, 0, 0, 0
local held = 'jobs:held:' .. worker
local journal = call('TYPE', 'jobs:journal')['ok']
if journal ~= 'stream' and journal ~= 'none' then
  return redis.error_reply('WRONGTYPE jobs:journal is in use for something else; rename or delete that key')
end
local robbed = only_ended == '1' and tonumber(call('ZSCORE', 'jobs:leases', worker) or 0) > now

local function holds(key, kind)
  local there = call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

-- A place of the wrong type must not end the script half-way: the other of the two takes the run meanwhile.
local function put_back(id, key, queue, front, due, limited)
  local list, scheduled = 'rq:queue:' .. queue, 'rq:scheduled:' .. queue
  local at_once = front or not holds(scheduled, 'zset')
  if at_once and limited and lanes.put(queue .. '\t' .. limited, id, front) then return end
  if at_once and holds(list, 'list') then
    call('HSET', key, 'status', 'queued')
    call(front and 'LPUSH' or 'RPUSH', list, id)
  elseif holds(scheduled, 'zset') then
    call('HSET', key, 'status', 'scheduled')
    call('ZADD', scheduled, due / 1000, id)
  end
end

-- Which of these attempts are held, by their place in the group; each is let go, and held once.
local function let_go(ids, tokens, queue)
  local found, mine, shown, seen = {}, {}, {}, {}
  if not robbed then found = call('HMGET', held, unpack(tokens)) end
  for i, token in ipairs(tokens) do
    if found[i] and not seen[token] then
      seen[token] = true
      mine[#mine + 1] = token
      shown[#shown + 1] = ids[i] .. ':' .. token
    else
      found[i] = false
    end
  end
  if #mine > 0 then
    call('HDEL', held, unpack(mine))
    pcall('ZREM', 'rq:wip:' .. queue, unpack(shown))
  end
  return found
end

local function move(id, key, where, queue, next_queue, wait, limited)
  if where == 'end' then
    good = good + 1
    call('HSET', key, 'status', 'finished', 'ended_at', ended_at)
  elseif where == 'later' then
    call('HSET', key, 'ready_ms', now + wait)
    put_back(id, key, next_queue, false, now + wait, limited)
  elseif where == 'front' or where == 'unbegun' then
    put_back(id, key, next_queue, true, now, limited)
  elseif where == 'failed' then
    bad = bad + 1
    call('HSET', key, 'status', 'failed', 'ended_at', ended_at)
    call('EXPIRE', key, FAILED_SECONDS)
    if holds('rq:failed:' .. queue, 'zset') then
      call('ZADD', 'rq:failed:' .. queue, time[1] + FAILED_SECONDS, id)
      call('ZREMRANGEBYRANK', 'rq:failed:' .. queue, 0, -FAILED_MOST - 1)
    end
  else
    good = good + 1
    local life = call('HGET', key, 'life') or '0'
    call('DEL', key)
    call('HSET', key, 'life', life, 'status', 'finished')
    call('EXPIRE', key, MARKER_SECONDS)
  end
end

local at = 5
while at <= #ARGV do
  local queue, where, next_queue = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local wait, words = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local fields = { unpack(ARGV, at + 5, at + 4 + words) }
  local count = tonumber(ARGV[at + 5 + words])
  local first = at + 6 + words
  at = first + 3 * count

  local ids, tokens = {}, {}
  for i = 1, count do ids[i], tokens[i] = ARGV[first + 3 * i - 3], ARGV[first + 3 * i - 2] end
  local found = let_go(ids, tokens, queue)
  for i = 1, count do
    if found[i] then
      local id, key, entry = ids[i], 'rq:job:' .. ids[i], ARGV[first + 3 * i - 1]
      local limited = #found[i] > #queue + 1 + #id and limits.of_place(found[i])
      -- A hash that is gone is not made anew.
      if call('TYPE', key)['ok'] == 'hash' then
        if words > 0 then call('HSET', key, unpack(fields)) end
        move(id, key, where, queue, next_queue, wait, limited)
      end
      if limited then limits.leave(limited, tokens[i], where == 'unbegun') end
      if entry ~= '' then entries[#entries + 1] = entry end
      answers[#answers + 1] = 1
    else
      stale = stale + 1
      answers[#answers + 1] = 0
    end
  end
end

-- Several entries at one position cost less; but where the recorder is behind, the stream's length counts them all.
local together = #entries > 1 and call('XLEN', 'jobs:journal') < SHORT and TOGETHER or 1
for first = 1, #entries, together do
  local told = entries[first]
  if together > 1 then
    told = '[' .. table.concat(entries, ',', first, math.min(first + together - 1, #entries)) .. ']'
  end
  call('XADD', 'jobs:journal', '*', 'at', now, 'e', told)
end
-- A count that is damaged is not worth the answer.
if call('EXISTS', 'rq:worker:' .. name) == 1 then
  if good > 0 then pcall('HINCRBY', 'rq:worker:' .. name, 'successful_job_count', good) end
  if bad > 0 then pcall('HINCRBY', 'rq:worker:' .. name, 'failed_job_count', bad) end
end
if stale > 0 then pcall('HINCRBY', 'jobs:counters', 'stale_settles', stale) end
return answers
