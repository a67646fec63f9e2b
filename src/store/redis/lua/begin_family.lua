-- Begins a family at generation 0. KEYS: family. ARGV: record, until, time to live.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'generation', '0', 'advanced', text(now), 'until', at(ARGV[2]), 'record', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 'done' }
