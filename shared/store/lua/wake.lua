#!lua flags=allow-oom
-- Ring now for an item that was to be retried later: what it did not know is known.
-- KEYS item, due, queue    ARGV id, template, guard_ms
-- Returns 1, or 0 for an item in any other state: nothing is changed then.
if redis.call('HGET', KEYS[1], 'state') ~= 'retrying' then return 0 end
local now = now_ms()
redis.call('HDEL', KEYS[1], 'not_before')
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
ring(KEYS[3], ARGV[2], ARGV[1], now)
return 1
