-- Checks that the server accepts writes and PUBLISH. KEYS: probe. ARGV: channel, time to live.
redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[1], 'p')
return { 'done' }
