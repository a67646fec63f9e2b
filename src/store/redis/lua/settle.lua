-- Returns a lease, with a result or without. KEYS: session. ARGV: rt, fence, now, channel, message, and with a result:
-- most results, generation, keep until, sealed, time to live.
local key, rt, now = KEYS[1], ARGV[1], tonumber(ARGV[3])
local ended = redis.call('HGET', key, 'ended')
if ended and tonumber(ended) > now then return { 'ended' } end

local held = redis.call('HGET', key, 'L' .. rt)
if not held or string.match(held, '^%d+') ~= ARGV[2] then return { 'lost' } end
redis.call('HDEL', key, 'L' .. rt)

if ARGV[6] then
  local count, oldest, oldest_rt = 0, nil, nil
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local other = string.sub(field, 2)
    if string.sub(field, 1, 1) == 'R' and other ~= rt then
      local keep_until, order = string.match(redis.call('HGET', key, field), '^%d+ (%-?%d+) %-?%d+ (%d+)$')
      if tonumber(keep_until) <= now then
        redis.call('HDEL', key, field, 'S' .. other)
      else
        count = count + 1
        if not oldest or tonumber(order) < oldest then oldest, oldest_rt = tonumber(order), other end
      end
    end
  end
  if count >= tonumber(ARGV[6]) then redis.call('HDEL', key, 'R' .. oldest_rt, 'S' .. oldest_rt) end
  -- The order of fences is the order of the results.
  redis.call('HSET', key, 'R' .. rt, ARGV[7] .. ' ' .. ARGV[8] .. ' ' .. ARGV[3] .. ' ' .. ARGV[2], 'S' .. rt, ARGV[9])
  if redis.call('PTTL', key) < tonumber(ARGV[10]) then redis.call('PEXPIRE', key, ARGV[10]) end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return { 'stored' }
