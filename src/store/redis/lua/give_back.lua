-- Undoes a take. KEYS: key.
redis.call('DEL', KEYS[1])
return { 'done' }
