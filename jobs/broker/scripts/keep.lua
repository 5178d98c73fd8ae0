-- Keep how far a run is in its hash, as long as the attempt that says so holds it: who was robbed is told.
--
-- ARGV: the run's id, when it was claimed (milliseconds), the field, 'checkpoint' or 'progress', and its text (JSON).
-- Returns 1, or 0 when this attempt holds the run no longer.

local key = 'rq:job:' .. ARGV[1]
if redis.call('TYPE', key)['ok'] ~= 'hash' then return 0 end
local found = redis.call('HMGET', key, 'status', 'claimed_ms')
if found[1] ~= 'started' or found[2] ~= ARGV[2] then return 0 end
redis.call('HSET', key, ARGV[3], ARGV[4])
-- What killed a process before was not this item: crashes count where a run does not get on.
if ARGV[3] == 'checkpoint' then redis.call('HDEL', key, 'crashes') end
return 1
