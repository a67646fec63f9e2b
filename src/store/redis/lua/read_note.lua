-- Reads a note, with the time of this server. KEYS: note.
local time = redis.call('TIME')
local millis = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return { 'note', millis, redis.call('GET', KEYS[1]) or '' }
