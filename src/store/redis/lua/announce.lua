-- Announces to every instance that a session has ended. KEYS: endings. ARGV: sid, until, time to live, channel, message
-- without the time. A member is the 16 bytes of a sid and the time until which its end is remembered; its score is its
-- number. The score of the member 'number' is the newest number.
local key, remembered = KEYS[1], at(ARGV[2])
redis.call('ZADD', key, redis.call('ZINCRBY', key, 1, 'number'), ARGV[1] .. remembered)
-- Removes the expired ones of 20 random members: a call adds one member, so expired ones do not accumulate. A minute
-- later than their time, because instances of the previous version wrote it by their own clocks.
for _, member in ipairs(redis.call('ZRANDMEMBER', key, 20)) do
  if member ~= 'number' and (tonumber(string.sub(member, 17)) or 0) + 60000 <= now then redis.call('ZREM', key, member) end
end
if redis.call('PTTL', key) < tonumber(ARGV[3]) then redis.call('PEXPIRE', key, ARGV[3]) end
redis.call('PUBLISH', ARGV[4], ARGV[5] .. remembered)
return { 'done' }
