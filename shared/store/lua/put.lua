#!lua flags=allow-oom
-- Keep a small text that work under way needs to end, for a while, even in a full store.
-- KEYS name    ARGV value, ttl_ms
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
