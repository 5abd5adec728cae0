#!lua flags=allow-oom
-- KEYS made
-- Keep a small text that work under way needs to end, for a while, even in a full store.
-- ARGV value, ttl_ms
redis.call('SET', key.made, ARGV[1], 'PX', ARGV[2])
