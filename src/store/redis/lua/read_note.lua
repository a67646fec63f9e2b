-- Reads a note, with the server's time. KEYS: note.
return { 'note', text(now), redis.call('GET', KEYS[1]) or '' }
