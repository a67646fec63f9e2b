-- Leases a refresh token. KEYS: session. ARGV: rt, known, holder, lasting, count, time to live, most fields, how long a
-- holder's call may be answered. A session's fields: ended (until), last (fence), R<rt> (generation, keep until, stored
-- at, fence), S<rt> (sealed), L<rt> (fence, holder, granted at, doubtful until, until; the previous version writes fence
-- and until). Holder '-': it was settled, and is kept because it is doubtful.
local key, rt = KEYS[1], ARGV[1]
local ended = redis.call('HGET', key, 'ended')
if ended and tonumber(ended) > now then return { 'ended' } end

local kept = redis.call('HGET', key, 'R' .. rt)
if kept then
  local generation, keep_until, stored_at = string.match(kept, '^(%d+) (%-?%d+) (%-?%d+) ')
  if tonumber(keep_until) > now and tonumber(generation) > tonumber(ARGV[2]) then
    return { 'result', generation, left(stored_at), redis.call('HGET', key, 'S' .. rt) }
  end
end

local doubtful = 0
local held = redis.call('HGET', key, 'L' .. rt)
if held then
  local fence, holder, granted_at, doubtful_until, ends = string.match(held, '^(%d+) (%S+) (%d+) (%d+) (%-?%d+)$')
  if holder == ARGV[3] then
    redis.call('HSET', key, 'L' .. rt, table.concat({ fence, holder, granted_at, doubtful_until, at(ARGV[4]) }, ' '))
    if redis.call('PTTL', key) < tonumber(ARGV[6]) then redis.call('PEXPIRE', key, ARGV[6]) end
    return { 'granted', fence, left(doubtful_until) }
  end
  ends = tonumber(string.match(held, ' (%-?%d+)$'))
  if ends > now then return { 'held', left(ends) } end
  doubtful = tonumber(doubtful_until or '0')
  if holder ~= '-' then doubtful = math.max(doubtful, tonumber(granted_at or ends) + tonumber(ARGV[8])) end
end

-- Remove leases that ran out without a settlement.
if redis.call('HLEN', key) > tonumber(ARGV[7]) then
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'L' and tonumber(string.match(redis.call('HGET', key, field), ' (%-?%d+)$')) <= now then
      redis.call('HDEL', key, field)
    end
  end
end

-- Higher than every fence of this session, also if the record was lost: a number begins with the time.
local last = tonumber(redis.call('HGET', key, 'last') or '0')
local fence = text(math.max(last + 1, now * 1024 + tonumber(ARGV[5])))
redis.call('HSET', key, 'last', fence,
  'L' .. rt, table.concat({ fence, ARGV[3], text(now), text(doubtful), at(ARGV[4]) }, ' '))
if redis.call('PTTL', key) < tonumber(ARGV[6]) then redis.call('PEXPIRE', key, ARGV[6]) end
return { 'granted', fence, left(doubtful) }
