-- Take runs off their queues and hold them, in one step: a run is never only in a process's memory.
--
-- ARGV: the server's id, how long the journal may be, worker's id, worker's name, lease (milliseconds),
--       started_at (text), how many tokens, the tokens, then the queues in order.
-- Returns {now (milliseconds), {queue, id, token, {field, value …}} …}, or {now, why nothing is claimed for now}.

local QUARANTINE_MOST, ATTEMPTS_MOST, SUSPECTS = 1000, 2 ^ 31 - 2, 'jobs.suspects.'
local ELSEWHERE = { started = true, scheduled = true, finished = true, failed = true, canceled = true }
local server, limit = ARGV[1], tonumber(ARGV[2])
local worker, name, lease, started_at, tokens = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held, claimed, used = 'jobs:held:' .. worker, { now }, 0

local function holds(key, kind)
  local there = redis.call('TYPE', key)['ok']
  return there == kind or there == 'none'
end

-- What is taken off its queue must have where to go.
for key, kind in pairs({ [held] = 'hash', ['jobs:journal'] = 'stream', ['jobs:quarantine'] = 'list' }) do
  if not holds(key, kind) then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is in use for something else; rename or delete that key')
  end
end
-- What lies here is from before a restart, from a snapshot or from another server, until it was compared with the rows.
local epoch = redis.call('GET', 'jobs:epoch')
if not epoch or (server ~= '' and epoch ~= server) then return { now, 'epoch' } end
if redis.call('XLEN', 'jobs:journal') >= limit then return { now, 'journal' } end
redis.call('ZADD', 'jobs:leases', now + lease, worker)

for at = 8 + tokens, #ARGV do
  local queue = ARGV[at]
  local list = 'rq:queue:' .. queue
  while used < tokens and redis.call('TYPE', list)['ok'] == 'list' do
    local id = redis.call('LPOP', list)
    local key = 'rq:job:' .. id
    local kind, facts = redis.call('TYPE', key)['ok'], nil
    if kind == 'none' then
      -- Its hash is gone: the recorder looks whether a row still wants it.
      redis.call('XADD', 'jobs:journal', '*', 'e', cjson.encode({ entry = 'missing', run = id, queue = queue }))
    elseif kind ~= 'hash' then
      redis.call('RPUSH', 'jobs:quarantine', id)
      redis.call('LTRIM', 'jobs:quarantine', -QUARANTINE_MOST, -1)
    else
      facts = redis.call('HMGET', key, 'attempts', 'life', 'status')
    end
    -- What is elsewhere or has ended is a second copy of its id, which lost data can bring about: it is dropped.
    if facts and not (facts[2] and ELSEWHERE[facts[3]]) then
      used = used + 1
      local token = ARGV[7 + used]
      -- A suspect waits apart, and belongs to the queue it was asked for.
      local home = string.sub(queue, 1, #SUSPECTS) == SUSPECTS and string.sub(queue, #SUSPECTS + 1) or queue
      redis.call('HSET', held, token, home .. '\t' .. id)
      -- What RQ's tools show as started; without it the run is started all the same.
      if holds('rq:wip:' .. home, 'zset') then redis.call('ZADD', 'rq:wip:' .. home, '+inf', id .. ':' .. token) end
      -- A damaged number would end the script here, with the run in no place.
      local begun = facts[1]
      begun = math.min(tonumber(begun and string.match(begun, '^%d+$')) or 0, ATTEMPTS_MOST)
      redis.call('HSET', key, 'attempts', begun + 1, 'status', 'started', 'started_at', started_at, 'worker_name', name, 'claimed_ms', now)
      claimed[#claimed + 1] = { home, id, token, redis.call('HGETALL', key) }
    end
  end
  if used == tokens then break end
end
return claimed
