#!lua flags=allow-oom
-- May a delivery be tried? While the breaker is open, one caller in each interval may.
-- KEYS breaker, probe    ARGV interval_ms
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
return redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
