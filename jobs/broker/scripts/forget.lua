-- The rows remember now: shrink ended runs to a marker that a late push finds, and trim the journal.
--
-- ARGV: the last stored stream id, empty while more ended runs follow; then for each ended run its id and life.

local MARKER_SECONDS = 60
local call, pcall = redis.call, redis.pcall
for at = 2, #ARGV, 2 do
  local key, life = 'rq:job:' .. ARGV[at], ARGV[at + 1]
  -- Of a key of another type this is an error, which has neither.
  local hash = pcall('HMGET', key, 'life', 'status')
  if hash[1] == life and hash[2] == 'finished' then
    call('DEL', key)
    call('HSET', key, 'life', life, 'status', 'finished')
    call('EXPIRE', key, MARKER_SECONDS)
  end
end
if ARGV[1] ~= '' then
  call('XTRIM', 'jobs:journal', 'MINID', ARGV[1])
  call('XDEL', 'jobs:journal', ARGV[1])
end
