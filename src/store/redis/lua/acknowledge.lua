-- Limits how long results up to a generation are kept. KEYS: session. ARGV: generation, keep until.
local most = at(ARGV[2])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 1) == 'R' then
    local kept = redis.call('HGET', KEYS[1], field)
    local generation, keep_until, rest = string.match(kept, '^(%d+) (%-?%d+) (.*)$')
    if tonumber(generation) <= tonumber(ARGV[1]) and tonumber(keep_until) > tonumber(most) then
      redis.call('HSET', KEYS[1], field, generation .. ' ' .. most .. ' ' .. rest)
    end
  end
end
return { 'done' }
