-- Results up to a generation are kept until a moment at most. KEYS: results. ARGV: generation, keep_until.
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local generation, keep_until, rest = string.match(all[i + 1], '^(%d+) (-?%d+) (.*)$')
  if tonumber(generation) <= tonumber(ARGV[1]) and tonumber(keep_until) > tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], all[i], generation .. ' ' .. ARGV[2] .. ' ' .. rest)
  end
end
return { 'done' }
