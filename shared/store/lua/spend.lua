#!lua
-- KEYS spending item
-- Count an amount against a ceiling of the last hour, unless its refund job is recorded already.
-- ARGV amount, ceiling, hour_ms
-- Returns 0 when it fits, else after how many ms it may fit.
local amount, ceiling, hour_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('EXISTS', key.item) == 1 then return 0 end
local now = now_ms()
local spent = redis.call('HGETALL', key.spending)
local sum, oldest = 0, now
for i = 1, #spent, 2 do
  local at = tonumber(spent[i])
  if at <= now - hour_ms or at > now then
    redis.call('HDEL', key.spending, spent[i])
  else
    sum, oldest = sum + tonumber(spent[i + 1]), math.min(oldest, at)
  end
end
if sum + amount > ceiling then return oldest + hour_ms - now end
local minute = now - now % 60000
redis.call('HINCRBY', key.spending, string.format('%.0f', minute), ARGV[1])
redis.call('PEXPIRE', key.spending, hour_ms)
return 0
