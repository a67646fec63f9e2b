-- The server's time, and the ended sessions with numbers above a number, in their order. KEYS: endings. ARGV: after,
-- limit.
local reply = { 'endings', redis.call('ZSCORE', KEYS[1], 'number') or '0', text(now) }
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #found, 2 do
  if found[i] ~= 'number' then
    reply[#reply + 1] = string.sub(found[i], 1, 16)
    -- An entry without a readable time counts as expired.
    reply[#reply + 1] = left(tonumber(string.sub(found[i], 17)) or now)
    reply[#reply + 1] = found[i + 1]
  end
end
return reply
