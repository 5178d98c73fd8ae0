-- The rows remember now: trim the journal, and shrink ended runs to a marker that a late push finds.
--
-- ARGV: the last stored stream id, then for each ended run its id and life.

local MARKER_SECONDS = 60
for at = 2, #ARGV, 2 do
  local key, life = 'rq:job:' .. ARGV[at], ARGV[at + 1]
  if redis.call('TYPE', key)['ok'] == 'hash' then
    local hash = redis.call('HMGET', key, 'life', 'status')
    if hash[1] == life and hash[2] == 'finished' then
      redis.call('DEL', key)
      redis.call('HSET', key, 'life', life, 'status', 'finished')
      redis.call('EXPIRE', key, MARKER_SECONDS)
    end
  end
end
redis.call('XTRIM', 'jobs:journal', 'MINID', ARGV[1])
redis.call('XDEL', 'jobs:journal', ARGV[1])
