#!lua flags=allow-oom
-- Note that a process lives, and forget those that gave no sign for long.
-- KEYS signs    ARGV process, forgotten_ms
local now = now_ms()
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return 1
