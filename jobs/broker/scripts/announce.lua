-- Tell the journal of attempts that have been running for a while; short ones are told of when they end.
--
-- ARGV: worker's id, then for each attempt its token and the journal entry (JSON).

local held = 'jobs:held:' .. ARGV[1]
for at = 2, #ARGV, 2 do
  if redis.call('HEXISTS', held, ARGV[at]) == 1 then
    redis.call('XADD', 'jobs:journal', '*', 'e', ARGV[at + 1])
  end
end
