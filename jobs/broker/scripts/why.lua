-- Look at all that may keep one run from starting, at one moment. Changes nothing.
--
-- ARGV: the server's id, the run's id, its queue, the numbers of limits (JSON, or empty), how many of a list to go
--       through, how many holders and workers to name.
-- Returns JSON. What a key in use for something else would say is left out.

local call, pcall = redis.call, redis.pcall
local id, queue, most, named = ARGV[2], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
local key, suspects = 'rq:job:' .. id, 'jobs.suspects.' .. queue
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The answer of a command, nil where the key has another type or says nothing.
local function ask(...)
  local answer = pcall(...)
  if answer == false or type(answer) == 'table' and answer.err then return nil end
  return answer
end

local function hash_of(name, fields)
  local found, values = {}, ask('HMGET', name, unpack(fields)) or {}
  for i, field in ipairs(fields) do found[field] = values[i] or nil end
  return found
end

local function list_at(name)
  return { length = ask('LLEN', name) or 0, position = ask('LPOS', name, id, 'MAXLEN', most) }
end

local function workers_of(set)
  local there = { live = 0, quiet = 0, busy = 0, names = {} }
  for at, worker in ipairs(ask('SMEMBERS', set) or {}) do
    if at > 500 then break end
    local state = ask('HGET', worker, 'state')
    if state or call('EXISTS', worker) == 1 then
      there.live = there.live + 1
      if state == 'suspended' then there.quiet = there.quiet + 1 end
      if state == 'busy' then there.busy = there.busy + 1 end
      if #there.names < named then there.names[#there.names + 1] = string.gsub(worker, '^rq:worker:', '') end
    end
  end
  return there
end

-- Who has the places of a limit: the run that each token is held for, and since when.
local function holders_of(slots)
  local found, cursor = {}, '0'
  local answer = ask('HSCAN', slots, cursor, 'COUNT', 20)
  local pairs_ = answer and answer[2] or {}
  for i = 1, #pairs_, 2 do
    if #found >= named then break end
    local place = ask('HGET', 'jobs:held:' .. pairs_[i + 1], pairs_[i])
    local run = place and string.match(place, '^[^\t]*\t([^\n]*)')
    if run then
      found[#found + 1] = { run = run, since = tonumber(ask('HGET', 'rq:job:' .. run, 'claimed_ms')), worker = pairs_[i + 1] }
    end
  end
  return found
end

local numbers = ARGV[4] ~= '' and cjson.decode(ARGV[4]) or {}

local function limit_of(limited)
  local kind = string.match(limited, '^%S+')
  local known = numbers[kind]
  local limit = { key = limited, most = known and known[1] or 0, used = 0 }
  if string.sub(limited, 1, 8) == 'at_once:' then
    limit.used = ask('HLEN', 'jobs:slots:' .. limited) or 0
    limit.holders = holders_of('jobs:slots:' .. limited)
  else
    local length = known and known[2] or 0
    limit.seconds = length / 1000000
    local from = time[1] * 1000000 + time[2] - length
    limit.used = ask('ZCOUNT', 'jobs:window:' .. limited, from, '+inf') or 0
    -- Its next place is free when the oldest of those that fill it is out of the window.
    local over = math.max(0, limit.used - limit.most)
    local first = ask('ZRANGEBYSCORE', 'jobs:window:' .. limited, from, '+inf', 'WITHSCORES', 'LIMIT', over, 1) or {}
    if first[2] then limit.free = math.ceil((tonumber(first[2]) + length) / 1000) end
  end
  return limit
end

local function lane_at(lane)
  local home = string.match(lane, '^[^\t]*')
  local score = ask('ZSCORE', 'jobs:lanes:' .. home, lane)
  local found = list_at('jobs:lane:' .. lane)
  found.name, found.known, found.parked = lane, score ~= nil, score == 'inf'
  found.ready, found.limits = ask('ZCOUNT', 'jobs:lanes:' .. home, '-inf', '(+inf') or 0, {}
  local text = string.match(lane, '\t(.*)$') or ''
  if string.sub(text, 1, 5) ~= 'fuse:' then
    for limited in string.gmatch(text, '\t([^\t]+)') do
      if #found.limits < 10 then found.limits[#found.limits + 1] = limit_of(limited) end
    end
  end
  return found
end

local function parents_of()
  local found = {}
  for at, parent in ipairs(ask('SMEMBERS', 'rq:job::' .. id .. ':dependencies') or {}) do
    if at > named then break end
    local parent_id = string.gsub(parent, '^rq:job:', '')
    found[at] = { run = parent_id, state = ask('HGET', 'rq:job:' .. parent_id, 'status') }
  end
  return found
end

local epoch, first = ask('GET', 'jobs:epoch'), ask('XRANGE', 'jobs:journal', '-', '+', 'COUNT', 1) or {}
local answer = {
  now = now,
  kind = call('TYPE', key)['ok'],
  hash = hash_of(key, { 'life', 'status', 'attempts', 'lane', 'limits', 'ready_ms', 'claimed_ms', 'worker_name', 'crashes',
    'origin', 'description', 'created_at' }),
  queue = list_at('rq:queue:' .. queue),
  suspects = list_at('rq:queue:' .. suspects),
  due = tonumber(ask('ZSCORE', 'rq:scheduled:' .. queue, id) or ask('ZSCORE', 'rq:scheduled:' .. suspects, id)),
  laned = tonumber(ask('HGET', 'jobs:laned', queue)) or 0,
  is_compared = epoch ~= nil and (ARGV[1] == '' or epoch == ARGV[1]),
  journal = ask('XLEN', 'jobs:journal') or 0,
  journal_since = first[1] and tonumber(string.match(first[1][1], '^%d+')),
  ticked = tonumber(ask('GET', 'jobs:ticked')),
  records = call('EXISTS', 'jobs:recorder') == 1,
  is_stopping = call('EXISTS', 'jobs:stop:' .. id) == 1,
  workers = workers_of('rq:workers'),
  serving = workers_of('rq:workers:' .. queue),
}
local held = ask('ZRANGEBYLEX', 'rq:wip:' .. queue, '[' .. id .. ':', '(' .. id .. ';', 'LIMIT', 0, 1) or {}
answer.is_held = held[1] ~= nil
if held[1] then
  local token, leases = string.sub(held[1], #id + 2), ask('ZRANGE', 'jobs:leases', 0, 499, 'WITHSCORES') or {}
  for i = 1, #leases, 2 do
    if ask('HEXISTS', 'jobs:held:' .. leases[i], token) == 1 then answer.lease = tonumber(leases[i + 1]) end
  end
end
if answer.hash.lane and answer.hash.status == 'queued' then answer.lane = lane_at(answer.hash.lane) end
if answer.hash.status == 'deferred' then answer.parents = parents_of() end
return cjson.encode(answer)
