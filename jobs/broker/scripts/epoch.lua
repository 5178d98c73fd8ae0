-- Whether this server's runs were compared with the rows since it started, and the end of such a comparison.
--
-- ARGV: the server's id, what to do ('look', 'begin', 'accept' or 'refuse'), who compares.
-- Returns {the server's id, the epoch or false, 1 when it was done}.

local server, verb, mark = ARGV[1], ARGV[2], 'jobs:reconcile:' .. ARGV[3]
local MARK_SECONDS = 3600
local done = 1
if verb == 'begin' then
  redis.call('SET', mark, server, 'EX', MARK_SECONDS)
elseif verb == 'accept' then
  -- The mark went with everything else if the server was emptied or replaced meanwhile.
  if redis.call('GET', mark) == server then
    redis.call('SET', 'jobs:epoch', server == '' and 'unknown' or server)
  else
    done = 0
  end
  redis.call('DEL', mark)
elseif verb == 'refuse' then
  redis.call('DEL', 'jobs:epoch')
end
-- A key that somebody else made is none; the next comparison writes over it.
local epoch = redis.pcall('GET', 'jobs:epoch')
return { server, type(epoch) == 'string' and epoch, done }
