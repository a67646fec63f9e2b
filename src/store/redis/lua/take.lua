-- Takes a key once. KEYS: key. ARGV: until, now, time to live.
local before = redis.call('GET', KEYS[1])
if before and tonumber(before) > tonumber(ARGV[2]) then return { 'taken' } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return { 'first' }
