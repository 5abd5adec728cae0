#!lua flags=allow-oom
-- Ring on every idle queue for no item; one caller in each interval does.
-- KEYS pulse, queue…    ARGV interval_ms, id, template…
if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) then return 0 end
local now, rung = now_ms(), 0
for i = 2, #KEYS do
  if redis.call('LLEN', KEYS[i]) == 0 then
    ring(KEYS[i], ARGV[i + 1], ARGV[2], now)
    rung = rung + 1
  end
end
return rung
