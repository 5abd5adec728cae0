#!lua flags=allow-oom
-- KEYS made
-- Store a small text for a while, even in a full Redis, because work under way needs it to end.
-- ARGV value, ttl_ms
redis.call('SET', key.made, ARGV[1], 'PX', ARGV[2])
