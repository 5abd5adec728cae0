#!lua flags=allow-oom
-- KEYS pulse queue*
-- Ring on every idle queue for no item; only one caller in each interval does so.
-- ARGV interval_ms, id, template…
if lives(key.pulse, tonumber(ARGV[1])) then return end
redis.call('SET', key.pulse, 1, 'PX', ARGV[1])
local now = now_ms()
for i, queue in ipairs(key.queue) do
  if redis.call('LLEN', queue) == 0 then ring(queue, ARGV[i + 2], ARGV[2], now) end
end
