-- One step of one lock. A lock is let go by the token that holds it, and by no other.
--
-- ARGV: what (acquire, renew, release, free), the lock's name, the token, its life (milliseconds), then for acquire who
--       holds it (JSON), for free '1' to let it go though its holder lives.
-- Returns {1 when it was done, then for acquire the fence}; when not: {0, milliseconds since it was renewed or -1 when
--          nobody holds it, milliseconds until it ends, who holds it, since when}, and {-1 …} when its holder lives.

local what, name, token, life, more = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
-- A holder that missed two renewals is not believed to live.
local ALIVE_SHARE, ALIVE_MOST_MS, FORGOTTEN_AT_ONCE, EXACT_MOST = 2 / 3, 30000, 20, 2 ^ 53
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key, list, fences = 'jobs:lock:' .. name, 'jobs:locks', 'jobs:fence'
for one, kind in pairs({ [key] = 'hash', [list] = 'zset', [fences] = 'string' }) do
  local there = call('TYPE', one)['ok']
  if there ~= kind and there ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. one .. ' is in use for something else; rename or delete that key')
  end
end

local kept = call('HMGET', key, 'token', 'renewed', 'life', 'holder', 'since', 'fence')
local is_ours = kept[1] == token
local function refused(answer)
  local idle = kept[1] and math.max(0, now - (tonumber(kept[2] or 0) or 0)) or -1
  return { answer, idle, math.max(0, call('PTTL', key)), kept[4] or '', tonumber(kept[5] or 0) or 0 }
end
local function let_go()
  call('DEL', key)
  call('ZREM', list, name)
  return { 1 }
end
local function live_on()
  call('PEXPIRE', key, life)
  call('ZADD', list, now + life, name)
end

if what == 'acquire' then
  if kept[1] and not is_ours then return refused(0) end
  -- What ended by itself.
  for _, old in ipairs(call('ZRANGEBYSCORE', list, '-inf', now - ALIVE_MOST_MS, 'LIMIT', 0, FORGOTTEN_AT_ONCE)) do
    if call('EXISTS', 'jobs:lock:' .. old) == 0 then call('ZREM', list, old) end
  end
  -- By the clock too, so that it goes on growing when the server has lost its data.
  local last = tonumber(call('GET', fences) or 0) or 0
  if not (last < EXACT_MOST) then last = 0 end
  local fence = math.max(last + 1, time[1] * 1000000 + time[2])
  call('SET', fences, string.format('%.0f', fence))
  call('HSET', key, 'token', token, 'fence', string.format('%.0f', fence), 'since', now, 'renewed', now, 'life', life,
    'holder', more)
  live_on()
  return { 1, fence }
end
if not is_ours then return refused(0) end
if what == 'release' then return let_go() end
if what == 'renew' then
  call('HSET', key, 'renewed', now)
  live_on()
  return { 1 }
end
local alive_for = math.min((tonumber(kept[3] or 0) or 0) * ALIVE_SHARE, ALIVE_MOST_MS)
if more ~= '1' and now - (tonumber(kept[2] or 0) or 0) < alive_for then return refused(-1) end
return let_go()
