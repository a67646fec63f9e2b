-- Whether it can be written to and published at. KEYS: probe. ARGV: channel.
redis.call('SET', KEYS[1], '1', 'PX', 60000)
redis.call('PUBLISH', ARGV[1], 'p')
return { 'done' }
