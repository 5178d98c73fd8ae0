-- Walk over the runs that are in some place here and ought to have a row.
--
-- ARGV: SCAN's cursor, and how many keys to look at.
-- Returns {the next cursor, id, queue, life, id …}.

local ENDS = { finished = true, failed = true, canceled = true }
local found = redis.call('SCAN', ARGV[1], 'MATCH', 'rq:job:*', 'COUNT', ARGV[2], 'TYPE', 'hash')
local answer = { found[1] }
for _, key in ipairs(found[2]) do
  local hash = redis.call('HMGET', key, 'life', 'status', 'durable', 'origin')
  if hash[1] and hash[4] and hash[3] ~= '0' and not ENDS[hash[2]] then
    answer[#answer + 1] = string.sub(key, #'rq:job:' + 1)
    answer[#answer + 1] = hash[4]
    answer[#answer + 1] = hash[1]
  end
end
return answer
