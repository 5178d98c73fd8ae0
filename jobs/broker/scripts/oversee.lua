-- A supervisor says that it lives, and hears what people ask of it.
--
-- ARGV: its id, for how long its word holds (milliseconds), then the fields of its record and their values.
-- Returns 'quiet', 'stop', or an empty text.

local id, life = ARGV[1], tonumber(ARGV[2])
local key, list = 'jobs:supervisor:' .. id, 'jobs:supervisors'
for one, kind in pairs({ [key] = 'hash', [list] = 'zset' }) do
  local there = redis.call('TYPE', one)['ok']
  if there ~= kind and there ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. one .. ' is in use for something else; rename or delete that key')
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', key, 'seen_ms', now, unpack(ARGV, 3))
redis.call('PEXPIRE', key, life)
redis.call('ZADD', list, now, id)
redis.call('ZREMRANGEBYSCORE', list, '-inf', now - life)
return redis.call('HGET', key, 'order') or ''
