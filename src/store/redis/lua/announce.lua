-- Tells every instance that a session has ended. KEYS: by number, by until, number. ARGV: sid, until, forgotten, time to live, channel, news.
local before = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not before or tonumber(before) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end
redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[3]), ARGV[1])
-- Each ending takes more away than it adds, so what is past its time does not pile up.
for _, sid in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], sid)
  redis.call('ZREM', KEYS[2], sid)
end
for i = 1, 3 do
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return { 'done' }
