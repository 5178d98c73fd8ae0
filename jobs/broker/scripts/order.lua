-- Ask supervisors to be quiet or to stop. The order is in the record of each, and goes with it.
--
-- ARGV: quiet or stop, by whom, then the ids of the supervisors.
-- Returns the ids of those that live. One that is to stop is not asked to be quiet any more.

local order, actor, heard = ARGV[1], ARGV[2], {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 3, #ARGV do
  local key = 'jobs:supervisor:' .. ARGV[at]
  if redis.call('TYPE', key)['ok'] == 'hash' then
    if redis.call('HGET', key, 'order') ~= 'stop' then
      redis.call('HSET', key, 'order', order, 'asked_ms', now, 'asked_by', actor)
    end
    heard[#heard + 1] = ARGV[at]
  end
end
return heard
