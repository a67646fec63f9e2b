-- Gives a lease back, with a result or without. KEYS: ended, leases, results, sealed.
-- ARGV: rt, fence, now, channel, news, and with a result: most results, generation, keep_until, sealed, time to live.
local now = tonumber(ARGV[3])
local ended = redis.call('GET', KEYS[1])
if ended and tonumber(ended) > now then return { 'ended' } end

local held = redis.call('HGET', KEYS[2], ARGV[1])
if not held or string.match(held, '^%d+') ~= ARGV[2] then return { 'lost' } end
redis.call('HDEL', KEYS[2], ARGV[1])

if ARGV[6] then
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('HDEL', KEYS[4], ARGV[1])
  local count, oldest, oldest_rt = 0, nil, nil
  local all = redis.call('HGETALL', KEYS[3])
  for i = 1, #all, 2 do
    local keep_until, order = string.match(all[i + 1], '^%d+ (-?%d+) -?%d+ (%d+)$')
    if tonumber(keep_until) <= now then
      redis.call('HDEL', KEYS[3], all[i])
      redis.call('HDEL', KEYS[4], all[i])
    else
      count = count + 1
      if not oldest or tonumber(order) < oldest then oldest, oldest_rt = tonumber(order), all[i] end
    end
  end
  if count >= tonumber(ARGV[6]) then
    redis.call('HDEL', KEYS[3], oldest_rt)
    redis.call('HDEL', KEYS[4], oldest_rt)
  end
  -- The fence says which result came after which.
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[7] .. ' ' .. ARGV[8] .. ' ' .. ARGV[3] .. ' ' .. ARGV[2])
  redis.call('HSET', KEYS[4], ARGV[1], ARGV[9])
  for i = 3, 4 do
    if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[10]) then redis.call('PEXPIRE', KEYS[i], ARGV[10]) end
  end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return { 'stored' }
