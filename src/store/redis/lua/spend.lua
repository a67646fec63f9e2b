-- Counts one more event, or answers when the quota admits one. KEYS: count. ARGV: window length, most, now, time to
-- live. The formula of contract/quota.rs. Numbers are doubles: exact while most × length stays below 2^53.
local length, most, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local window = math.floor(now / length)
local current, previous = 0, 0
local counted = redis.call('GET', KEYS[1])
if counted then
  local counted_window
  counted_window, current, previous = string.match(counted, '^(%-?%d+) (%d+) (%d+)$')
  counted_window, current, previous = tonumber(counted_window), tonumber(current), tonumber(previous)
  if window == counted_window + 1 then
    current, previous = 0, current
  elseif window > counted_window then
    current, previous = 0, 0
  elseif window < counted_window then
    -- An instance whose clock is behind must not overwrite the count of one that is ahead.
    window = counted_window
    now = window * length
  end
end

local start = window * length
local elapsed = now - start
if previous * (length - elapsed) + (current + 1) * length <= most * length then
  redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', window, current + 1, previous), 'PX', ARGV[4])
  return { 'within' }
end
local at
if current < most then
  at = start + length - math.min(math.floor((most - current - 1) * length / math.max(previous, 1)), length)
else
  at = start + 2 * length - math.min(math.floor((most - 1) * length / current), length)
end
return { 'over', string.format('%.0f', math.max(at, tonumber(ARGV[3]) + 1)) }
