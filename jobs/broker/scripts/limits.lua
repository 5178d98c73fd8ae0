-- Limits: runs of which so many may be held at once, or claimed within a time. Included by the scripts that name it.
--
-- A run's hash says in `limits` by what it is limited: its job, then what each limit counts it under, with tabs between.
-- Such a key begins with the limit's kind and name (`at_once:…` or `per_window:…`), by which the claiming worker's code
-- gives its numbers; a key of which it knows none limits nothing.
-- `jobs:slots:<key>` has the tokens of those at once, each with who holds it. `jobs:window:<key>` has the tokens by when
-- they were claimed. `jobs:waiters:<key>` has the lanes that are parked until it has room; `jobs:timers` has these keys,
-- by when to look at them at the latest (milliseconds): so what was missed is made good.

-- include: lanes
-- include: pauses
-- Made when first asked for, as those of lanes. `told` is the numbers of the worker's code: JSON, empty for none.
local limits = { told = '' }
setmetatable(limits, { __index = function(_, wanted)
  setmetatable(limits, nil)
  local call, pcall = redis.call, redis.pcall
  local AT_ONCE, STALE_MOST, HEALED_MOST, WOKEN_MOST, LOOK_AGAIN_MS = 'at_once:', 20, 100, 100, 1000
  local AHEAD_MOST = 1000000
  local time = call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local numbers = nil

  local function numbers_of(key)
    if not numbers then numbers = limits.told ~= '' and cjson.decode(limits.told) or {} end
    return numbers[string.match(key, '^%S+')]
  end

  local function is_at_once(key) return string.sub(key, 1, #AT_ONCE) == AT_ONCE end

  local function keys_in(text) return string.gmatch(text, '\t([^\t]+)') end

  -- What a lane's name has behind its queue.
  local function text_of(lane) return string.match(lane, '\t(.*)$') or '' end

  -- How many more there may be now. Of a key that is in use for something else nothing is known, so: none.
  local function room(key)
    local most = numbers_of(key)
    if not most then return math.huge end
    local used
    if is_at_once(key) then
      used = pcall('HLEN', 'jobs:slots:' .. key)
    else
      pcall('ZREMRANGEBYSCORE', 'jobs:window:' .. key, '-inf', now - most[2])
      -- Of before the server's clock was set back.
      pcall('ZREMRANGEBYSCORE', 'jobs:window:' .. key, now + AHEAD_MOST, '+inf')
      used = pcall('ZCARD', 'jobs:window:' .. key)
    end
    return type(used) == 'number' and most[1] - used or 0
  end

  -- When (milliseconds) a key is to be looked at again, once all its room is given: a window when its next place is free.
  local function next_look(key)
    local most = numbers_of(key)
    if most and not is_at_once(key) then
      local used = pcall('ZCARD', 'jobs:window:' .. key)
      local over = type(used) == 'number' and math.max(0, used - most[1]) or -1
      local oldest = over >= 0 and call('ZRANGE', 'jobs:window:' .. key, over, over, 'WITHSCORES') or {}
      if oldest[2] then return math.ceil((tonumber(oldest[2]) + most[2]) / 1000) end
    end
    -- Only what was missed is found by this look; where many wait, each waits longer for it.
    local many = pcall('ZCARD', 'jobs:timers')
    return math.floor(now / 1000) + math.max(LOOK_AGAIN_MS, type(many) == 'number' and 4 * many or 0)
  end

  -- Let up to so many of the lanes that wait for a key have their turn. Returns how many.
  local function wake(key, most)
    local woken, stale = 0, 0
    while woken < most and stale < STALE_MOST do
      local first = pcall('ZPOPMIN', 'jobs:waiters:' .. key)
      if first.err or not first[1] then break end
      local lane = first[1]
      local queue = lanes.queue_of(lane)
      if pcall('ZSCORE', 'jobs:lanes:' .. queue, lane) == 'inf' then
        call('ZADD', 'jobs:lanes:' .. queue, lanes.next_turn(), lane)
        lanes.ring_bell(queue)
        -- The lane of a paused queue uses no turn that another's could have.
        if pauses.hold(queue, now / 1000) then stale = stale + 1 else woken = woken + 1 end
      else
        stale = stale + 1
      end
    end
    return woken
  end

  -- The first key by which a run may not start now, or nil.
  function limits.blocking(text)
    for key in keys_in(text) do
      if room(key) <= 0 then return key end
    end
  end

  -- Whoever was woken and did not use what it was woken for lets the next one try.
  function limits.pass_on(text, but)
    for key in keys_in(text) do
      if key ~= but and call('EXISTS', 'jobs:waiters:' .. key) == 1 and room(key) > 0 then wake(key, 1) end
    end
  end

  function limits.park(lane, key)
    call('ZADD', 'jobs:lanes:' .. lanes.queue_of(lane), '+inf', lane)
    pcall('ZADD', 'jobs:waiters:' .. key, lanes.next_turn(), lane)
    pcall('ZADD', 'jobs:timers', is_at_once(key) and 'NX' or 'LT', next_look(key), key)
  end

  -- A run is claimed.
  function limits.enter(text, token, worker)
    for key in keys_in(text) do
      local most = numbers_of(key)
      if is_at_once(key) then
        pcall('HSET', 'jobs:slots:' .. key, token, worker)
      elseif most then
        pcall('ZADD', 'jobs:window:' .. key, now, token)
        pcall('PEXPIRE', 'jobs:window:' .. key, math.ceil(most[2] / 1000) + 1000)
      end
    end
  end

  -- A run's token was let go. What nobody has begun gives back its place in windows too.
  function limits.leave(text, token, unbegun)
    for key in keys_in(text) do
      local freed = 0
      if is_at_once(key) then
        freed = pcall('HDEL', 'jobs:slots:' .. key, token)
      elseif unbegun then
        freed = pcall('ZREM', 'jobs:window:' .. key, token)
      end
      if freed == 1 then wake(key, 1) end
    end
  end

  -- What a token is held for, behind its queue and run: false where nothing limits it.
  function limits.of_place(place) return place and string.match(place, '\n(.*)$') or false end

  -- Take what a worker holds under a token away from it.
  function limits.let_go(worker, token)
    local held = 'jobs:held:' .. worker
    if call('TYPE', held)['ok'] ~= 'hash' then return end
    local text = limits.of_place(call('HGET', held, token))
    if call('HDEL', held, token) == 1 and text then limits.leave(text, token, false) end
  end

  -- Slots of tokens that nobody holds any more.
  local function heal(key)
    local some = pcall('HRANDFIELD', 'jobs:slots:' .. key, HEALED_MOST, 'WITHVALUES')
    if some.err then return end
    for at = 1, #some, 2 do
      if pcall('HEXISTS', 'jobs:held:' .. some[at + 1], some[at]) == 0 then call('HDEL', 'jobs:slots:' .. key, some[at]) end
    end
  end

  local function look_at(key, healing)
    if healing and is_at_once(key) then heal(key) end
    local waiting = pcall('ZCARD', 'jobs:waiters:' .. key)
    waiting = type(waiting) == 'number' and waiting or 0
    local free = math.max(0, math.min(room(key), waiting))
    wake(key, math.min(free, WOKEN_MOST))
    if free > WOKEN_MOST then return end
    if free == waiting then call('ZREM', 'jobs:timers', key) else call('ZADD', 'jobs:timers', next_look(key), key) end
  end

  -- Look at up to so many keys whose time has come, and wake where there is room.
  function limits.wake_due(most, healing)
    local due = pcall('ZRANGEBYSCORE', 'jobs:timers', '-inf', now / 1000, 'LIMIT', 0, most)
    if due.err then return end
    for _, key in ipairs(due) do look_at(key, healing) end
  end

  -- In how many milliseconds the next key is to be looked at, or -1.
  function limits.next_due()
    local first = pcall('ZRANGE', 'jobs:timers', 0, 0, 'WITHSCORES')
    if first.err or not first[2] then return -1 end
    return math.max(0, tonumber(first[2]) - math.floor(now / 1000))
  end

  -- A lane that is parked and waits for nothing, by whatever was lost, has its turn; what it waits for is looked at.
  function limits.heal_some(queue, most)
    local some = pcall('ZRANDMEMBER', 'jobs:lanes:' .. queue, most, 'WITHSCORES')
    if some.err then return end
    for at = 1, #some, 2 do
      local lane, is_limited, waits = some[at], false, some[at + 1] ~= 'inf'
      for key in keys_in(text_of(lane)) do
        is_limited = true
        if not waits and type(pcall('ZSCORE', 'jobs:waiters:' .. key, lane)) == 'string' then
          waits = true
          pcall('ZADD', 'jobs:timers', 'NX', next_look(key), key)
        end
      end
      if is_limited and not waits then
        call('ZADD', 'jobs:lanes:' .. queue, lanes.next_turn(), lane)
        lanes.ring_bell(queue)
      end
    end
  end

  -- Give a queue's lane its turn: `take` gets one of its runs, by its id and what limits it, and says whether it was
  -- claimed. A lane of another queue has no turn here.
  function limits.serve(queue, lane, take)
    if lanes.queue_of(lane) ~= queue then return call('ZREM', 'jobs:lanes:' .. queue, lane) end
    local text = text_of(lane)
    local key = limits.blocking(text)
    if key then
      limits.park(lane, key)
      return limits.pass_on(text, key)
    end
    local id = lanes.is_sound(lane) and call('LPOP', 'jobs:lane:' .. lane)
    local used = id and take(id, text)
    local is_empty = lanes.note_taken(lane, id and 1 or 0)
    if not is_empty then call('ZADD', 'jobs:lanes:' .. queue, lanes.next_turn(), lane) end
    if is_empty and not used then limits.pass_on(text) end
  end
  return limits[wanted]
end })
