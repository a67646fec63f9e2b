-- The stored result for a refresh token. KEYS: results, sealed. ARGV: rt, now.
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if not kept then return { 'none' } end
local generation, keep_until, stored_at = string.match(kept, '^(%d+) (-?%d+) (-?%d+) ')
if tonumber(keep_until) <= tonumber(ARGV[2]) then return { 'none' } end
local sealed = redis.call('HGET', KEYS[2], ARGV[1])
if not sealed then return { 'none' } end
return { 'result', generation, stored_at, sealed }
