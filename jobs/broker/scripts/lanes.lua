-- Lanes: where runs wait elsewhere than in their queue's list or its scheduled set. Included by the scripts that name it.
--
-- A lane's name begins with its queue and a tab. `jobs:lane:<lane>` is the list of its runs, and the hash of each says
-- `lane` while it is there. `jobs:lanes:<queue>` has every lane in which something waits: by when its turn came
-- (microseconds), or at +inf while it is parked. `jobs:bell:<queue>` has an element while a lane may be ready.
-- `jobs:laned` counts the runs by queue.

-- Nobody pays for what nobody uses: these functions are made when the first of them is asked for.
local lanes = {}
setmetatable(lanes, { __index = function(_, wanted)
  setmetatable(lanes, nil)
  local call, pcall = redis.call, redis.pcall
  local time = call('TIME')
  local turn = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local sound = {}

  local function fits(key, kind)
    local there = call('TYPE', key)['ok']
    return there == kind or there == 'none'
  end

  local function count(queue, by)
    -- A count that is damaged is not worth the run.
    pcall('HINCRBY', 'jobs:laned', queue, by)
  end

  function lanes.queue_of(lane) return string.match(lane, '^[^\t]*') end

  -- Each asker gets a later one, so that lanes stand in the order in which they asked.
  function lanes.next_turn()
    turn = turn + 1
    return turn
  end

  -- Whether runs can be put there; who knows the answer to be no leaves them elsewhere.
  function lanes.is_sound(lane)
    if sound[lane] == nil then
      local queue = lanes.queue_of(lane)
      if sound[queue] == nil then
        sound[queue] = fits('jobs:lanes:' .. queue, 'zset') and fits('jobs:bell:' .. queue, 'list')
      end
      sound[lane] = sound[queue] and fits('jobs:lane:' .. lane, 'list')
    end
    return sound[lane]
  end

  function lanes.ring_bell(queue)
    if pcall('LLEN', 'jobs:bell:' .. queue) == 0 then pcall('RPUSH', 'jobs:bell:' .. queue, 1) end
  end

  -- No lane is ready: whoever waits for one is not to be woken.
  function lanes.still_bell(queue) pcall('LTRIM', 'jobs:bell:' .. queue, 1, 0) end

  -- Put a run into a lane, which is ready then unless it is parked, or `parked` says that it begins so.
  function lanes.put(lane, id, front, parked)
    if not lanes.is_sound(lane) then return false end
    local queue = lanes.queue_of(lane)
    call(front and 'LPUSH' or 'RPUSH', 'jobs:lane:' .. lane, id)
    call('HSET', 'rq:job:' .. id, 'lane', lane, 'status', 'queued')
    count(queue, 1)
    local added = call('ZADD', 'jobs:lanes:' .. queue, 'NX', parked and '+inf' or lanes.next_turn(), lane)
    if added == 1 and not parked then lanes.ring_bell(queue) end
    return true
  end

  -- Put many runs at the end of a lane that begins parked.
  function lanes.put_all(lane, ids)
    local queue = lanes.queue_of(lane)
    call('RPUSH', 'jobs:lane:' .. lane, unpack(ids))
    for _, id in ipairs(ids) do pcall('HSET', 'rq:job:' .. id, 'lane', lane, 'status', 'queued') end
    count(queue, #ids)
    call('ZADD', 'jobs:lanes:' .. queue, 'NX', '+inf', lane)
  end

  -- What was taken out of a lane by so many; an empty one has no turn.
  function lanes.note_taken(lane, by)
    local queue = lanes.queue_of(lane)
    if by > 0 then count(queue, -by) end
    if call('EXISTS', 'jobs:lane:' .. lane) == 1 and sound[lane] then return false end
    if call('ZREM', 'jobs:lanes:' .. queue, lane) == 1 and call('EXISTS', 'jobs:lanes:' .. queue) == 0 then
      -- A key that somebody deleted is made good here.
      pcall('HDEL', 'jobs:laned', queue)
      lanes.still_bell(queue)
    end
    return true
  end

  -- Take a run out of its lane; whether it was there. `lane` is false where its hash names none.
  function lanes.take_out(lane, id)
    if not lane or not lanes.is_sound(lane) then return false end
    if call('LREM', 'jobs:lane:' .. lane, 1, id) == 0 then return false end
    lanes.note_taken(lane, 1)
    return true
  end

  function lanes.has(lane, id)
    return lane and lanes.is_sound(lane) and call('LPOS', 'jobs:lane:' .. lane, id) ~= false
  end

  -- Whether it may ever have a turn: not where somebody deleted the set of its queue's lanes.
  function lanes.is_known(lane)
    return lane and lanes.is_sound(lane) and call('ZSCORE', 'jobs:lanes:' .. lanes.queue_of(lane), lane) ~= false
  end

  function lanes.is_short(lane, most)
    return lane and lanes.is_sound(lane) and call('LLEN', 'jobs:lane:' .. lane) <= most
  end
  return lanes[wanted]
end })
