-- Ends a claim. KEYS: address. ARGV: browser, claim, spent (0 or 1).
local key, browser = KEYS[1], ARGV[1]
local state = redis.call('HGET', key, browser .. ':state')
if not state then return { 'lost' } end
local expires, tries, again, claim, claimed, exhausted = string.match(state, '^(%-?%d+) (%d+) (%d+) (%d+) (%S+) (%d)$')
if claim ~= ARGV[2] or claimed == '-' then return { 'lost' } end
if ARGV[3] == '1' then
  redis.call('HDEL', key, browser .. ':state', browser .. ':mac', browser .. ':sealed', browser .. ':facts')
else
  tries = math.max(tonumber(tries) - 1, 0)
  redis.call('HSET', key, browser .. ':state', expires .. ' ' .. tries .. ' ' .. again .. ' ' .. claim .. ' - ' .. exhausted)
end
return { 'settled' }
