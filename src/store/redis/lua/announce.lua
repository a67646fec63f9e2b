-- Tells every instance that a session has ended. KEYS: endings. ARGV: sid, until, forgotten, time to live, channel, news.
-- The members are a sid's 16 bytes and the time until which it is remembered, scored by their number; one more, 'number', has the newest.
local key = KEYS[1]
redis.call('ZADD', key, redis.call('ZINCRBY', key, 1, 'number'), ARGV[1] .. ARGV[2])
-- A few at random: whatever is past its time goes sooner or later, and more goes than comes.
for _, member in ipairs(redis.call('ZRANDMEMBER', key, 20)) do
  if member ~= 'number' and tonumber(string.sub(member, 17)) <= tonumber(ARGV[3]) then redis.call('ZREM', key, member) end
end
if redis.call('PTTL', key) < tonumber(ARGV[4]) then redis.call('PEXPIRE', key, ARGV[4]) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return { 'done' }
