#!lua flags=allow-oom
-- Forget every failure: the event service answered.
-- KEYS breaker, failing, probe
return redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
