-- One step of one circuit, where all processes meet. The steps are those of jobs/policy/circuit.py.
--
-- ARGV: what (enter, success, failure, back, renew, open, close, look), the circuit's name, now (milliseconds, or empty
--       for the server's clock), the caller's token, how many failures open it, the window, how long it stays open, the
--       probe's life (milliseconds), then for open and close: until when it is held (milliseconds from now, -1 without
--       end, 0 not at all), by whom and why.
-- Returns {what the caller may do (go, probe, wait), phase before, phase now, since, until, probe's token, failures in
--          the window, held (0, or until when, -1 without end), now, by, reason}. `look` writes nothing.

local what, name, token = ARGV[1], ARGV[2], ARGV[4]
local most, window = tonumber(ARGV[5]), tonumber(ARGV[6])
local open_for, probe_life = tonumber(ARGV[7]), tonumber(ARGV[8])
local KEPT_MS, LISTED_MS, FORGOTTEN_AT_ONCE, LATEST_MS = 604800000, 3600000, 20, 253402300799999
local call = redis.call
local now = tonumber(ARGV[3])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local key, failed, list = 'jobs:circuit:' .. name, 'jobs:circuitfailures:' .. name, 'jobs:circuits'
for one, kind in pairs({ [key] = 'hash', [failed] = 'zset', [list] = 'zset' }) do
  local there = call('TYPE', one)['ok']
  if there ~= kind and there ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. one .. ' is in use for something else; rename or delete that key')
  end
end

local kept = call('HMGET', key, 'phase', 'since', 'until', 'probe', 'held', 'by', 'reason')
local PHASES = { closed = true, open = true, ['half-open'] = true }
local phase = PHASES[kept[1]] and kept[1] or 'closed'
local before, changed, clean = phase, false, false
-- A number that is damaged says nothing.
local function number(text)
  local found = tonumber(text or 0)
  return found and found >= -1 and found <= LATEST_MS and found or 0
end
local since, till, probe = number(kept[2]), number(kept[3]), kept[4] or ''
local held, by, reason = number(kept[5]), kept[6] or '', kept[7] or ''
local may = 'go'

local function become(new_phase, new_until, new_probe)
  if phase ~= new_phase then since = now end
  phase, till, probe, changed = new_phase, new_until, new_probe, true
end
local function let_go() held, by, reason, changed = 0, '', '', true end

-- A hold that has ended: an open circuit may be probed, a closed one counts from now on, for meanwhile nothing counted.
if held > 0 and now >= held then
  till = phase == 'open' and held or 0
  let_go()
end
local is_probe = phase == 'half-open' and probe == token and token ~= ''

if what == 'enter' then
  if phase == 'closed' then
    may = 'go'
  elseif held ~= 0 or (now < till and (phase == 'open' or probe ~= '')) then
    may = 'wait'
  else
    may = 'probe'
    become('half-open', now + probe_life, token)
  end
elseif what == 'success' then
  if is_probe then become('closed', 0, '') end
elseif what == 'failure' then
  if is_probe then
    become('open', now + open_for, '')
  elseif held == 0 and phase == 'closed' then
    call('ZREMRANGEBYSCORE', failed, '-inf', now - window)
    call('ZADD', failed, now, token)
    call('PEXPIRE', failed, math.ceil(window))
    if call('ZCARD', failed) >= most then
      clean = true
      become('open', now + open_for, '')
    end
  end
elseif what == 'back' then
  if is_probe then become('half-open', now, '') end
elseif what == 'renew' then
  if is_probe then become('half-open', now + probe_life, probe) end
elseif what == 'open' or what == 'close' then
  local hold = tonumber(ARGV[9])
  let_go()
  become(what == 'open' and 'open' or 'closed', 0, '')
  since, clean = now, true
  if hold ~= 0 then held, by, reason = hold < 0 and -1 or now + hold, ARGV[10], ARGV[11] end
end

if changed and what ~= 'look' then
  if clean or phase ~= 'closed' then call('DEL', failed) end
  call('HSET', key, 'phase', phase, 'since', since, 'until', till, 'probe', probe, 'held', held, 'by', by, 'reason', reason)
  if held == -1 then call('PERSIST', key) else call('PEXPIRE', key, KEPT_MS + math.max(0, held - now)) end
end
-- Who looks for circuits finds those that were used of late.
if what ~= 'look' and (changed or now - tonumber(call('ZSCORE', list, name) or 0) > LISTED_MS) then
  call('ZADD', list, now, name)
  for _, old in ipairs(call('ZRANGEBYSCORE', list, '-inf', now - KEPT_MS, 'LIMIT', 0, FORGOTTEN_AT_ONCE)) do
    if call('EXISTS', 'jobs:circuit:' .. old) == 0 then call('ZREM', list, old) end
  end
end
local recent = phase == 'closed' and not clean and call('ZCOUNT', failed, '(' .. (now - window), '+inf') or 0
return { may, before, phase, since, till, probe, recent, held, now, by, reason }
