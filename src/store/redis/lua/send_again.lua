-- The live code of a browser, to be sent again. KEYS: address. ARGV: browser, most.
local field = ARGV[1] .. ':state'
local state = redis.call('HGET', KEYS[1], field)
if not state then return { 'none' } end
local expires, tries, again, rest, exhausted = string.match(state, '^(%-?%d+) (%d+) (%d+) (.*) (%d)$')
if tonumber(expires) <= now or exhausted == '1' then return { 'none' } end
if tonumber(again) >= tonumber(ARGV[2]) then return { 'often', left(expires) } end
redis.call('HSET', KEYS[1], field, expires .. ' ' .. tries .. ' ' .. (again + 1) .. ' ' .. rest .. ' ' .. exhausted)
return { 'code', left(expires), redis.call('HGET', KEYS[1], ARGV[1] .. ':sealed') }
