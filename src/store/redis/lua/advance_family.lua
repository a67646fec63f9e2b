-- Uses a token of a family. KEYS: family. ARGV: shown, grace, until, now, time to live, last generation.
local held = redis.call('HMGET', KEYS[1], 'generation', 'advanced', 'until', 'record')
local now, shown, generation = tonumber(ARGV[4]), tonumber(ARGV[1]), tonumber(held[1] or '-1')
if not held[4] or tonumber(held[3]) <= now or shown > generation then return { 'unknown' } end
if shown == generation then
  generation = math.min(generation + 1, tonumber(ARGV[6]))
  redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', generation), 'advanced', ARGV[4], 'until', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
elseif shown + 1 < generation or tonumber(held[2]) + tonumber(ARGV[2]) <= now then
  redis.call('DEL', KEYS[1])
  return { 'reused' }
end
return { 'to', string.format('%.0f', generation), held[4] }
