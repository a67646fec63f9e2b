-- Stores a code. KEYS: address. ARGV: browser, mac, sealed, facts, expires, cooldown, most live, time to live. An
-- address's fields: sent (at, cool until), and for each browser <browser>:mac, :sealed, :facts and :state: expires,
-- tries, times sent again, claim, claimed until ('-' for no claim), exhausted (0 or 1).
local key, browser = KEYS[1], ARGV[1]
local others, first = 0, nil
for _, field in ipairs(redis.call('HKEYS', key)) do
  local other = string.match(field, '^(.*):state$')
  if other then
    local state = redis.call('HGET', key, field)
    local expires, claimed, exhausted = string.match(state, '^(%-?%d+) %d+ %d+ %d+ (%S+) (%d)$')
    if tonumber(expires) <= now or exhausted == '1' then
      -- A claim can last longer than its code.
      if claimed == '-' or tonumber(claimed) <= now then
        redis.call('HDEL', key, field, other .. ':mac', other .. ':sealed', other .. ':facts')
      end
    elseif other ~= browser then
      others = others + 1
      if not first or tonumber(expires) < tonumber(first) then first = expires end
    end
  end
end

local sent = redis.call('HGET', key, 'sent')
if sent then
  local sent_at, cool_until = string.match(sent, '^(%-?%d+) (%-?%d+)$')
  local again = tonumber(sent_at) + tonumber(ARGV[6])
  if tonumber(cool_until) > now and again > now then return { 'soon', left(again) } end
end
if others >= tonumber(ARGV[7]) then return { 'soon', left(first or now) } end

redis.call('HSET', key, 'sent', text(now) .. ' ' .. at(ARGV[6]), browser .. ':state', at(ARGV[5]) .. ' 0 0 0 - 0',
  browser .. ':mac', ARGV[2], browser .. ':sealed', ARGV[3], browser .. ':facts', ARGV[4])
if redis.call('PTTL', key) < tonumber(ARGV[8]) then redis.call('PEXPIRE', key, ARGV[8]) end
return { 'stored' }
