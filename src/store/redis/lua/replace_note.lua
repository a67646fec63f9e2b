-- Replaces a note whose content is known. KEYS: note. ARGV: content before, content after, time to live.
local content = redis.call('GET', KEYS[1]) or ''
if content ~= ARGV[1] then return { 'changed', text(now), content } end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', math.max(tonumber(ARGV[3]), 1))
end
return { 'done' }
