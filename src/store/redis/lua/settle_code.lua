-- Ends a claim. KEYS: states, contents. ARGV: browser, claim, spent (0 or 1).
local state = redis.call('HGET', KEYS[1], ARGV[1])
if not state then return { 'lost' } end
local expires, tries, again, claim, claimed, exhausted = string.match(state, '^(-?%d+) (%d+) (%d+) (%d+) (%S+) (%d)$')
if claim ~= ARGV[2] or claimed == '-' then return { 'lost' } end
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1] .. ':mac', ARGV[1] .. ':sealed', ARGV[1] .. ':facts')
else
  tries = math.max(tonumber(tries) - 1, 0)
  redis.call('HSET', KEYS[1], ARGV[1], expires .. ' ' .. tries .. ' ' .. again .. ' ' .. claim .. ' - ' .. exhausted)
end
return { 'settled' }
