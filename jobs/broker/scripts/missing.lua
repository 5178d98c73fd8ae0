-- Which runs a push would put there: those without a hash, or with one of an earlier life.
--
-- ARGV: for each run its id and life.
-- Returns the places of the missing ones among those asked for, from 0.

local missing = {}
for at = 1, #ARGV, 2 do
  local key = 'rq:job:' .. ARGV[at]
  -- What has the wrong type is in somebody's use, as for a push.
  local life = redis.pcall('HGET', key, 'life')
  if not life and redis.call('EXISTS', key) == 0 then
    missing[#missing + 1] = (at - 1) / 2
  elseif type(life) == 'string' and (tonumber(life) or math.huge) < tonumber(ARGV[at + 1]) then
    missing[#missing + 1] = (at - 1) / 2
  end
end
return missing
