-- Ends a session where its own keys are. KEYS: ended, leases, results, sealed. ARGV: until, time to live.
local before = redis.call('GET', KEYS[1])
if not before or tonumber(before) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
return { 'done' }
