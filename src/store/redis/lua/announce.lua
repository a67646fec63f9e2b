-- Announces to every instance that a session has ended. KEYS: endings. ARGV: sid, until, forgotten, time to live,
-- channel, message. A member is the 16 bytes of a sid and the time until which its end is remembered; its score is its
-- number. The score of the member 'number' is the newest number.
local key = KEYS[1]
redis.call('ZADD', key, redis.call('ZINCRBY', key, 1, 'number'), ARGV[1] .. ARGV[2])
-- Removes the expired ones of 20 random members: a call adds one member, so expired ones do not accumulate.
for _, member in ipairs(redis.call('ZRANDMEMBER', key, 20)) do
  if member ~= 'number' and tonumber(string.sub(member, 17)) <= tonumber(ARGV[3]) then redis.call('ZREM', key, member) end
end
if redis.call('PTTL', key) < tonumber(ARGV[4]) then redis.call('PEXPIRE', key, ARGV[4]) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return { 'done' }
