-- Keeps a code. KEYS: states, contents.
-- ARGV: browser, mac, sealed, facts, expires, cooldown, most live, now, cool until, time to live.
-- A state is: expires, tries, times sent again, claim, claimed until ('-' for no claim), exhausted (0 or 1).
local now = tonumber(ARGV[8])
local others, first = 0, nil
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local expires, exhausted = string.match(all[i + 1], '^(-?%d+) .* (%d)$')
  if tonumber(expires) <= now or exhausted == '1' then
    redis.call('HDEL', KEYS[1], all[i])
    redis.call('HDEL', KEYS[2], all[i] .. ':mac', all[i] .. ':sealed', all[i] .. ':facts')
  elseif all[i] ~= ARGV[1] then
    others = others + 1
    if not first or tonumber(expires) < tonumber(first) then first = expires end
  end
end

local sent = redis.call('HGET', KEYS[2], 'sent')
if sent then
  local sent_at, cool_until = string.match(sent, '^(-?%d+) (-?%d+)$')
  local again = tonumber(sent_at) + tonumber(ARGV[6])
  if tonumber(cool_until) > now and again > now then return { 'soon', string.format('%.0f', again) } end
end
if others >= tonumber(ARGV[7]) then return { 'soon', first or ARGV[8] } end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[5] .. ' 0 0 0 - 0')
redis.call('HSET', KEYS[2], 'sent', ARGV[8] .. ' ' .. ARGV[9],
  ARGV[1] .. ':mac', ARGV[2], ARGV[1] .. ':sealed', ARGV[3], ARGV[1] .. ':facts', ARGV[4])
for i = 1, 2 do
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[10]) then redis.call('PEXPIRE', KEYS[i], ARGV[10]) end
end
return { 'stored' }
