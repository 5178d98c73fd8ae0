-- Fuses: what keeps the runs of one job from starting. Included, behind `lanes`, by the scripts that name it.
--
-- `jobs:fuses` has them by their numbers, as JSON: `start` is how the data of the job's runs begin, `where` what is asked
-- of their arguments, `action` hold, slow or discard, `until` when it expires (milliseconds), `every` how many
-- milliseconds a slow one lets pass for each run; `over` ends it. `<fuse>:next` is from when the next run may start.
-- What a fuse catches waits in its parked lane, whose name is the queue, a tab and `fuse:<fuse>`.

local fuses = {}
-- Nobody pays for what nobody uses: to make these functions costs as much as to claim a run.
fuses.are_there = redis.call('EXISTS', 'jobs:fuses') == 1
if fuses.are_there then
  local call, redis_pcall, guard = redis.call, redis.pcall, _G.pcall
  -- As much as holds the server for some milliseconds; the next claim goes on. A run costs one, and a long one more.
  local WORK_MOST, CHARACTERS, DIGITS_MOST = 500, 1000, 18
  local RANK = { hold = 1, discard = 2, slow = 3, drain = 4, release = 5 }
  local all, now, work, caught = {}, 0, 0, {}
  local latest, latest_message = nil, nil

  -- What it does by now: 'release' and 'drain' catch nothing more, and start or discard what they caught.
  local function action_of(data)
    if data.over then return data.discard and 'drain' or 'release' end
    local is_whole = type(data.start) == 'string' and (data.where == nil or type(data.where) == 'table')
    if not is_whole or not RANK[data.action] then return nil end
    if (tonumber(data['until']) or 0) > now then return data.action end
    return data.action == 'discard' and 'drain' or 'release'
  end

  local function read(number, text)
    local fine, data = guard(cjson.decode, text)
    local action = fine and type(data) == 'table' and action_of(data)
    if not action then return end
    all[#all + 1] = {
      number = number, action = action, start = data.start, where = data.where,
      every = tonumber(data.every) or 1000, waiting = {}, next = 0, last = 0,
    }
  end

  -- Learn the fuses; whether there are any. A key that is in use for something else has none.
  function fuses.load(at)
    now = at
    local found = redis_pcall('HGETALL', 'jobs:fuses')
    if found.err or #found == 0 then return false end
    local later = {}
    for i = 1, #found, 2 do
      local is_number = string.find(found[i], '^%d+$') and #found[i] <= DIGITS_MOST
      if is_number then read(found[i], found[i + 1]) else later[found[i]] = tonumber(found[i + 1]) end
    end
    for _, fuse in ipairs(all) do
      fuse.next = later[fuse.number .. ':next'] or 0
      fuse.last = fuse.next
    end
    -- Of two that catch a run, the one that does less harm has it.
    table.sort(all, function(one, other)
      if one.action ~= other.action then return RANK[one.action] < RANK[other.action] end
      return tonumber(one.number) < tonumber(other.number)
    end)
    return #all > 0
  end

  local function lane_of(fuse, queue) return queue .. '\tfuse:' .. fuse.number end

  local function is_met(one, args, named)
    if type(one) ~= 'table' then return false end
    local value = nil
    if type(args) == 'table' and one.at > 0 then value = args[one.at] end
    if value == nil and type(named) == 'table' then value = named[one.name] end
    if value == nil then return one.default == true end
    return value == one.value
  end

  -- Read once, however many fuses look at it; nil where it cannot be read.
  local function message_in(data)
    if data ~= latest then
      work = work + #data / CHARACTERS
      local fine, message = guard(cjson.decode, data)
      latest, latest_message = data, fine and type(message) == 'table' and message or nil
    end
    return latest_message
  end

  local function fits(fuse, data)
    if string.sub(data, 1, #fuse.start) ~= fuse.start then return false end
    if not fuse.where then return true end
    local message = message_in(data)
    if not message then return false end
    for _, one in ipairs(fuse.where) do
      local asked, met = guard(is_met, one, message[3], message[4])
      if not asked or not met then return false end
    end
    return true
  end

  local function is_slow_enough(fuse) return fuse.next - math.max(0, 1000 - fuse.every) <= now end

  local function let_pass(fuse) fuse.next = math.max(fuse.next, now) + fuse.every end

  local function waiting(fuse, queue)
    if not fuse.waiting[queue] then fuse.waiting[queue] = call('LLEN', 'jobs:lane:' .. lane_of(fuse, queue)) end
    return fuse.waiting[queue]
  end

  -- The fuse of a number, or nil.
  function fuses.numbered(number)
    for _, fuse in ipairs(all) do
      if fuse.number == number then return fuse end
    end
  end

  -- Catch a run that was taken off its queue, unless it may start; it then is in a fuse's lane. `passed` is the fuse
  -- that let it go. Returns false, and the slow fuse that let it pass, where none catches it.
  function fuses.catches(queue, id, data, passed)
    local slowed_by = nil
    for _, fuse in ipairs(all) do
      local lane = RANK[fuse.action] <= RANK.slow and fuse ~= passed and data and fits(fuse, data) and lane_of(fuse, queue)
      if lane and lanes.is_sound(lane) then
        if fuse.action == 'slow' and waiting(fuse, queue) == 0 and is_slow_enough(fuse) then
          let_pass(fuse)
          slowed_by = fuse
        else
          local ids = caught[lane] or {}
          caught[lane] = ids
          ids[#ids + 1] = id
          fuse.waiting[queue] = (fuse.waiting[queue] or call('LLEN', 'jobs:lane:' .. lane)) + 1
          work = work + 1
          return true
        end
      end
    end
    return false, slowed_by
  end

  -- Whether this call may look at more runs.
  function fuses.may_go_on() return work < WORK_MOST end

  -- Put what was caught into its lanes. To be called before lanes are served, and at the end.
  function fuses.put_away()
    for lane, ids in pairs(caught) do lanes.put_all(lane, ids) end
    caught = {}
  end

  local function serve(fuse, queue, most, may_start, take)
    local lane, taken = lane_of(fuse, queue), 0
    if call('TYPE', 'jobs:lane:' .. lane)['ok'] ~= 'list' or not lanes.is_sound(lane) then return end
    while fuses.may_go_on() and most() > 0 and may_start(fuse) do
      local ids = call('LPOP', 'jobs:lane:' .. lane, fuse.action == 'slow' and 1 or most())
      if not ids then break end
      taken = taken + #ids
      work = work + #ids / 10
      for _, id in ipairs(ids) do take(queue, id, fuse) end
    end
    if taken > 0 then lanes.note_taken(lane, taken) end
    fuse.waiting[queue] = nil
  end

  -- Before a queue has its turn: start what an ended fuse held, and what a slow one lets pass.
  function fuses.let_go(queue, most, take)
    for _, fuse in ipairs(all) do
      if fuse.action == 'release' then
        serve(fuse, queue, most, function() return true end, take)
      elseif fuse.action == 'slow' then
        serve(fuse, queue, most, is_slow_enough, function(...)
          let_pass(fuse)
          take(...)
        end)
      end
    end
  end

  -- When all queues have had their turn: what is to be discarded takes nobody's place.
  function fuses.discard(queue, most, take)
    for _, fuse in ipairs(all) do
      if fuse.action == 'discard' or fuse.action == 'drain' then serve(fuse, queue, most, function() return true end, take) end
    end
  end

  -- Whether a fuse takes something of this queue's out of its lanes by and by.
  function fuses.has_work(queue)
    for _, fuse in ipairs(all) do
      if fuse.action ~= 'hold' and call('EXISTS', 'jobs:lane:' .. lane_of(fuse, queue)) == 1 then return true end
    end
    return false
  end

  -- Remember from when slow ones let the next run pass.
  function fuses.note_rates()
    for _, fuse in ipairs(all) do
      if fuse.next ~= fuse.last then
        redis_pcall('HSET', 'jobs:fuses', fuse.number .. ':next', string.format('%.3f', fuse.next))
      end
    end
  end
end
