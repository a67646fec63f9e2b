-- Returns a lease, with a result or without. KEYS: session. ARGV: rt, fence, channel, message, and with a result: most
-- results, generation, keep until, sealed, time to live.
local key, rt = KEYS[1], ARGV[1]
local ended = redis.call('HGET', key, 'ended')
if ended and tonumber(ended) > now then return { 'ended' } end

local held = redis.call('HGET', key, 'L' .. rt)
local is_held = held and string.match(held, '^%d+') == ARGV[2]
if is_held then
  local granted_at, doubtful = string.match(held, '^%d+ %S+ (%d+) (%d+) ')
  if not ARGV[5] and tonumber(doubtful or '0') > now then
    -- Kept because it is doubtful, under a new fence: this one was settled.
    local fence = text(tonumber(redis.call('HGET', key, 'last') or ARGV[2]) + 1)
    redis.call('HSET', key, 'last', fence, 'L' .. rt, table.concat({ fence, '-', granted_at, doubtful, text(now) }, ' '))
  else
    redis.call('HDEL', key, 'L' .. rt)
  end
end

if ARGV[5] then
  local count, oldest, oldest_rt = 0, nil, nil
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local other = string.sub(field, 2)
    if string.sub(field, 1, 1) == 'R' then
      local generation, keep_until, order = string.match(redis.call('HGET', key, field), '^(%d+) (%-?%d+) %-?%d+ (%d+)$')
      if tonumber(keep_until) <= now then
        redis.call('HDEL', key, field, 'S' .. other)
      elseif other ~= rt then
        count = count + 1
        if not oldest or tonumber(order) < oldest then oldest, oldest_rt = tonumber(order), other end
      elseif not is_held and tonumber(generation) >= tonumber(ARGV[6]) then
        return { 'lost' }
      end
    end
  end
  if count >= tonumber(ARGV[5]) then redis.call('HDEL', key, 'R' .. oldest_rt, 'S' .. oldest_rt) end
  -- The order of fences is the order of the results.
  redis.call('HSET', key, 'R' .. rt, table.concat({ ARGV[6], at(ARGV[7]), text(now), ARGV[2] }, ' '), 'S' .. rt, ARGV[8])
  if redis.call('PTTL', key) < tonumber(ARGV[9]) then redis.call('PEXPIRE', key, ARGV[9]) end
elseif not is_held then
  return { 'lost' }
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return { 'stored' }
