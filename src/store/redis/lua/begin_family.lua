-- Begins a family at generation 0. KEYS: family. ARGV: record, until, now, time to live.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'generation', '0', 'advanced', ARGV[3], 'until', ARGV[2], 'record', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { 'done' }
