-- Whether it can be written to. KEYS: probe.
redis.call('SET', KEYS[1], '1', 'PX', 60000)
return { 'done' }
