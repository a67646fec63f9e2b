-- Prolongs a lease. KEYS: session. ARGV: rt, fence, until, time to live.
local held = redis.call('HGET', KEYS[1], 'L' .. ARGV[1])
if not held or string.match(held, '^%d+') ~= ARGV[2] then return { 'lost' } end
redis.call('HSET', KEYS[1], 'L' .. ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return { 'held' }
