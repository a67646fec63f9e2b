-- Leases a refresh token. KEYS: session. ARGV: rt, known, until, now, fence, time to live, most fields. A session's
-- fields: ended (until), last (fence), L<rt> (fence, until), R<rt> (generation, keep until, stored at, fence), S<rt>
-- (sealed).
local key, rt, now = KEYS[1], ARGV[1], tonumber(ARGV[4])
local ended = redis.call('HGET', key, 'ended')
if ended and tonumber(ended) > now then return { 'ended' } end

local kept = redis.call('HGET', key, 'R' .. rt)
if kept then
  local generation, keep_until, stored_at = string.match(kept, '^(%d+) (%-?%d+) (%-?%d+) ')
  if tonumber(keep_until) > now and tonumber(generation) > tonumber(ARGV[2]) then
    return { 'result', generation, stored_at, redis.call('HGET', key, 'S' .. rt) }
  end
end

local held = redis.call('HGET', key, 'L' .. rt)
if held then
  local held_until = string.match(held, ' (%-?%d+)$')
  if tonumber(held_until) > now then return { 'held', held_until } end
end

-- Remove leases that ran out without a settlement.
if redis.call('HLEN', key) > tonumber(ARGV[7]) then
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'L' and tonumber(string.match(redis.call('HGET', key, field), ' (%-?%d+)$')) <= now then
      redis.call('HDEL', key, field)
    end
  end
end

-- Higher than every fence of this session, also if the record was lost: the caller's number begins with the time.
local last = tonumber(redis.call('HGET', key, 'last') or '0')
local fence = string.format('%.0f', math.max(last + 1, tonumber(ARGV[5])))
redis.call('HSET', key, 'L' .. rt, fence .. ' ' .. ARGV[3], 'last', fence)
if redis.call('PTTL', key) < tonumber(ARGV[6]) then redis.call('PEXPIRE', key, ARGV[6]) end
return { 'granted', fence }
