-- The stored result for a refresh token. KEYS: session. ARGV: rt.
local kept = redis.call('HGET', KEYS[1], 'R' .. ARGV[1])
if not kept then return { 'none' } end
local generation, keep_until, stored_at = string.match(kept, '^(%d+) (%-?%d+) (%-?%d+) ')
if tonumber(keep_until) <= now then return { 'none' } end
return { 'result', generation, left(stored_at), redis.call('HGET', KEYS[1], 'S' .. ARGV[1]) }
