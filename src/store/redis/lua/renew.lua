-- Prolongs a lease. KEYS: session. ARGV: rt, fence, lasting, time to live.
local field = 'L' .. ARGV[1]
local held = redis.call('HGET', KEYS[1], field)
if not held or string.match(held, '^%d+') ~= ARGV[2] then return { 'lost' } end
redis.call('HSET', KEYS[1], field, string.match(held, '^(.* )%-?%d+$') .. at(ARGV[3]))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return { 'held' }
