-- Subtracts one from the count of the window of now. KEYS: count. ARGV: window length, now.
local counted = redis.call('GET', KEYS[1])
if not counted then return { 'done' } end
local window, current, previous = string.match(counted, '^(%-?%d+) (%d+) (%d+)$')
if tonumber(window) == math.floor(tonumber(ARGV[2]) / tonumber(ARGV[1])) and tonumber(current) > 0 then
  redis.call('SET', KEYS[1], window .. ' ' .. string.format('%.0f', tonumber(current) - 1) .. ' ' .. previous, 'KEEPTTL')
end
return { 'done' }
