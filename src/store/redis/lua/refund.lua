-- Subtracts one from the count of the window of a time. KEYS: count. ARGV: window length, counted at.
local counted = redis.call('GET', KEYS[1])
if not counted then return { 'done' } end
local window, current, previous = string.match(counted, '^(%-?%d+) (%d+) (%d+)$')
current = tonumber(current)
if tonumber(window) == math.floor(tonumber(at(ARGV[2])) / tonumber(ARGV[1])) and current > 0 then
  if current == 1 and tonumber(previous) == 0 then
    redis.call('DEL', KEYS[1])
  else
    redis.call('SET', KEYS[1], window .. ' ' .. text(current - 1) .. ' ' .. previous, 'KEEPTTL')
  end
end
return { 'done' }
