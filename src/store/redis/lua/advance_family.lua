-- Uses a token of a family. KEYS: family. ARGV: shown, grace, until, time to live, last generation.
local held = redis.call('HMGET', KEYS[1], 'generation', 'advanced', 'until', 'record')
local shown, generation = tonumber(ARGV[1]), tonumber(held[1] or '-1')
if not held[4] or tonumber(held[3]) <= now or shown > generation then return { 'unknown' } end
if shown == generation then
  generation = math.min(generation + 1, tonumber(ARGV[5]))
  redis.call('HSET', KEYS[1], 'generation', text(generation), 'advanced', text(now), 'until', at(ARGV[3]))
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
elseif shown + 1 < generation or tonumber(held[2]) + tonumber(ARGV[2]) <= now then
  redis.call('DEL', KEYS[1])
  return { 'reused' }
end
return { 'to', text(generation), held[4] }
