-- Ends a family. KEYS: family.
redis.call('DEL', KEYS[1])
return { 'done' }
