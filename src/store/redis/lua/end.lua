-- Ends a session in its record. KEYS: session. ARGV: until, time to live.
local before = redis.call('HGET', KEYS[1], 'ended')
local live = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))
local ended = at(ARGV[1])
if before and tonumber(before) > tonumber(ended) then ended = before end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'ended', ended)
redis.call('PEXPIRE', KEYS[1], text(live))
return { 'done' }
