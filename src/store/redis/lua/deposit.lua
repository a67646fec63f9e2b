-- Deposits a value. KEYS: owner. ARGV: key, value, most, until, time to live. An owner's fields: <key>:until and
-- <key>:value for each deposit.
local owner, most = KEYS[1], tonumber(ARGV[3])
local others = {}
for _, field in ipairs(redis.call('HKEYS', owner)) do
  local key = string.match(field, '^(.*):until$')
  if key then
    local ends = tonumber(redis.call('HGET', owner, field))
    if ends <= now then
      redis.call('HDEL', owner, field, key .. ':value')
    elseif key ~= ARGV[1] then
      others[#others + 1] = { ends, key }
    end
  end
end
if #others >= most then
  table.sort(others, function(a, b) return a[1] < b[1] end)
  for i = 1, #others - most + 1 do
    redis.call('HDEL', owner, others[i][2] .. ':until', others[i][2] .. ':value')
  end
end
redis.call('HSET', owner, ARGV[1] .. ':until', at(ARGV[4]), ARGV[1] .. ':value', ARGV[2])
if redis.call('PTTL', owner) < tonumber(ARGV[5]) then redis.call('PEXPIRE', owner, ARGV[5]) end
return { 'stored' }
