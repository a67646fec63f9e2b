-- The live code of a browser, to be sent once more. KEYS: states, contents. ARGV: browser, most, now.
local state = redis.call('HGET', KEYS[1], ARGV[1])
if not state then return { 'none' } end
local expires, tries, again, rest, exhausted = string.match(state, '^(-?%d+) (%d+) (%d+) (.*) (%d)$')
if tonumber(expires) <= tonumber(ARGV[3]) or exhausted == '1' then return { 'none' } end
if tonumber(again) >= tonumber(ARGV[2]) then return { 'often', expires } end
local sealed = redis.call('HGET', KEYS[2], ARGV[1] .. ':sealed')
if not sealed then return { 'none' } end
redis.call('HSET', KEYS[1], ARGV[1], expires .. ' ' .. tries .. ' ' .. (again + 1) .. ' ' .. rest .. ' ' .. exhausted)
return { 'code', expires, sealed }
