-- Adds a key to those of an owner, and answers those that are too many, oldest first. KEYS: owner. ARGV: key, most, time
-- to live. The score of a key is its number; that of the newest is the highest.
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or '0'
redis.call('ZADD', KEYS[1], text(tonumber(newest) + 1), ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
local reply = { 'excess' }
local last = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2]) - 1
if last >= 0 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, last)) do reply[#reply + 1] = key end
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, last)
end
return reply
