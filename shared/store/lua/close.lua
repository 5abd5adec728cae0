#!lua flags=allow-oom
-- KEYS breaker failing probe
-- Forget every failure: the event service answered.
redis.call('DEL', key.breaker, key.failing, key.probe)
