-- Takes the right to refresh. KEYS: ended, leases, results, sealed. ARGV: rt, known, until, now, fence, time to live.
local now = tonumber(ARGV[4])
local ended = redis.call('GET', KEYS[1])
if ended and tonumber(ended) > now then return { 'ended' } end

local kept = redis.call('HGET', KEYS[3], ARGV[1])
if kept then
  local generation, keep_until, stored_at = string.match(kept, '^(%d+) (-?%d+) (-?%d+) ')
  if tonumber(keep_until) > now and tonumber(generation) > tonumber(ARGV[2]) then
    local sealed = redis.call('HGET', KEYS[4], ARGV[1])
    if sealed then return { 'result', generation, stored_at, sealed } end
  end
end

local held = redis.call('HGET', KEYS[2], ARGV[1])
if held then
  local held_until = string.match(held, ' (-?%d+)$')
  if tonumber(held_until) > now then return { 'held', held_until } end
end

if redis.call('HLEN', KEYS[2]) > 16 then
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    if all[i] ~= 'last' and tonumber(string.match(all[i + 1], ' (-?%d+)$')) <= now then redis.call('HDEL', KEYS[2], all[i]) end
  end
end

-- Above every fence of this session, also where the record was lost: the caller's number begins with the time.
local last = tonumber(redis.call('HGET', KEYS[2], 'last') or '0')
local fence = string.format('%.0f', math.max(last + 1, tonumber(ARGV[5])))
redis.call('HSET', KEYS[2], ARGV[1], fence .. ' ' .. ARGV[3], 'last', fence)
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[6]) then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end
return { 'granted', fence }
