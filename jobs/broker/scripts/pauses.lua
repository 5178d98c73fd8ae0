-- Pauses: queues of which nothing starts. Included, with `limits`, by the scripts that name it.
--
-- `jobs:paused` has each with until when (milliseconds), 0 without end. What is suspected of a crash is paused with the
-- queue that it belongs to. A key that is no hash pauses nothing.

local pauses = {}
do
  local SUSPECTS, are_there, untils = 'jobs.suspects.', nil, {}

  -- The queue that a suspect was asked for; of any other queue, itself.
  function pauses.home_of(queue)
    return string.sub(queue, 1, #SUSPECTS) == SUSPECTS and string.sub(queue, #SUSPECTS + 1) or queue
  end

  -- Whether a queue is paused at this time (milliseconds).
  function pauses.hold(queue, now)
    -- It is seldom there.
    if are_there == nil then are_there = redis.call('EXISTS', 'jobs:paused') == 1 end
    if not are_there then return false end
    local home = pauses.home_of(queue)
    if untils[home] == nil then
      local told = redis.pcall('HGET', 'jobs:paused', home)
      untils[home] = type(told) == 'string' and (tonumber(told) or 0)
    end
    local till = untils[home]
    return till and (till <= 0 or till > now) or false
  end
end
