-- Takes a key once. KEYS: key. ARGV: until, time to live.
local before = redis.call('GET', KEYS[1])
if before and tonumber(before) > now then return { 'taken' } end
redis.call('SET', KEYS[1], at(ARGV[1]), 'PX', ARGV[2])
return { 'first' }
