-- Reads a deposit. KEYS: owner. ARGV: key, 1 to remove it.
local held = redis.call('HMGET', KEYS[1], ARGV[1] .. ':until', ARGV[1] .. ':value')
if not held[1] or not held[2] or tonumber(held[1]) <= now then return { 'none' } end
if ARGV[2] == '1' then redis.call('HDEL', KEYS[1], ARGV[1] .. ':until', ARGV[1] .. ':value') end
return { 'value', held[2] }
