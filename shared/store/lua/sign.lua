#!lua flags=allow-oom
-- KEYS signs clocks
-- Note that a process lives and by how much its clock is ahead of Redis's; remove processes without
-- a recent sign.
-- ARGV process, its time (ms), forgotten_ms
local now = now_ms()
redis.call('ZADD', key.signs, now, ARGV[1])
redis.call('HSET', key.clocks, ARGV[1], string.format('%.0f', ARGV[2] - now))
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', key.signs, '-inf', now - ARGV[3])) do
  redis.call('ZREM', key.signs, gone)
  redis.call('HDEL', key.clocks, gone)
end
