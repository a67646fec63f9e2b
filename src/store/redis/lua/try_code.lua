-- Counts a try, then compares the macs. KEYS: address. ARGV: browser, mac, most tries, claim until, count, time to live.
-- The macs are keyed digests: the time of a comparison reveals nothing about the digits.
local key, field = KEYS[1], ARGV[1] .. ':state'
local state = redis.call('HGET', key, field)
if not state then return { 'gone' } end
local expires, tries, again, claim, claimed, exhausted = string.match(state, '^(%-?%d+) (%d+) (%d+) (%d+) (%S+) (%d)$')
if tonumber(expires) <= now or exhausted == '1' then return { 'gone' } end
if tonumber(tries) >= tonumber(ARGV[3]) then return { 'gone' } end
if claimed ~= '-' and tonumber(claimed) > now then return { 'gone' } end

tries = tonumber(tries) + 1
local right = redis.call('HGET', key, ARGV[1] .. ':mac') == ARGV[2]
if right then
  claim = text(math.max(tonumber(claim) + 1, now * 1024 + tonumber(ARGV[5])))
  claimed = at(ARGV[4])
  -- A claim can last longer than its code.
  if redis.call('PTTL', key) < tonumber(ARGV[6]) then redis.call('PEXPIRE', key, ARGV[6]) end
elseif tries >= tonumber(ARGV[3]) then
  exhausted = '1'
end
redis.call('HSET', key, field, expires .. ' ' .. tries .. ' ' .. again .. ' ' .. claim .. ' ' .. claimed .. ' ' .. exhausted)
if right then return { 'right', claim } end
return { 'wrong' }
