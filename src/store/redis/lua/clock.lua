-- The server's clock in milliseconds since the Unix epoch: it decides what is valid. Every script begins with this.
-- Times in arguments and answers are distances from it, in milliseconds; `at` is the time at a distance.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
local function at(distance) return text(now + tonumber(distance)) end
local function left(moment) return text(tonumber(moment) - now) end
