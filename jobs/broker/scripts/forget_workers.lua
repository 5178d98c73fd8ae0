-- Remove workers that died without a word from RQ's lists; their records ended by themselves.
--
-- ARGV: the queues.
-- Returns how many there were.

local function members(key)
  return redis.call('TYPE', key)['ok'] == 'set' and redis.call('SMEMBERS', key) or {}
end

local lists, gone = { 'rq:workers' }, 0
for _, queue in ipairs(ARGV) do lists[#lists + 1] = 'rq:workers:' .. queue end
for _, list in ipairs(lists) do
  for _, worker in ipairs(members(list)) do
    if redis.call('EXISTS', worker) == 0 then
      redis.call('SREM', list, worker)
      if list == 'rq:workers' then gone = gone + 1 end
    end
  end
end
return gone
