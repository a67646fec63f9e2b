-- The sessions that ended after a number, in their order. KEYS: by number, by until, number. ARGV: after, limit.
local newest = redis.call('GET', KEYS[3]) or '0'
local reply = { 'endings', newest }
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #found, 2 do
  reply[#reply + 1] = found[i]
  reply[#reply + 1] = found[i + 1]
  reply[#reply + 1] = redis.call('ZSCORE', KEYS[2], found[i]) or '0'
end
return reply
