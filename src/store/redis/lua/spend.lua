-- Counts one more event, or answers when the quota admits one. KEYS: count. ARGV: window length, most, time to live.
-- The formula of contract/quota.rs. Numbers are doubles: exact while most × length stays below 2^53.
local length, most, moment = tonumber(ARGV[1]), tonumber(ARGV[2]), now
local window = math.floor(moment / length)
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
    -- After a failover the clock may be behind that of the server that counted.
    window = counted_window
    moment = window * length
  end
end

local start = window * length
local elapsed = moment - start
if previous * (length - elapsed) + (current + 1) * length <= most * length then
  redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', window, current + 1, previous), 'PX', ARGV[3])
  return { 'within' }
end
local again
if current < most then
  again = start + length - math.min(math.floor((most - current - 1) * length / math.max(previous, 1)), length)
else
  again = start + 2 * length - math.min(math.floor((most - 1) * length / current), length)
end
return { 'over', left(math.max(again, now + 1)) }
