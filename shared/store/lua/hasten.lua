#!lua
-- Make a duty of upkeep due now and ring for it.
-- KEYS item, due, queue    ARGV id, template, guard_ms
-- Returns 'due', or 'running' when a worker holds it: then it is to be done once more.
local now = now_ms()
local held = redis.call('HMGET', KEYS[1], 'state', 'lease_until')
if held[1] == 'processing' and tonumber(held[2] or 0) > now then
  redis.call('HSET', KEYS[1], 'again', 1)
  return 'running'
end
redis.call('HSETNX', KEYS[1], 'recorded_at', 0)
redis.call('HSET', KEYS[1], 'state', 'queued')
redis.call('HDEL', KEYS[1], 'not_before')
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
ring(KEYS[3], ARGV[2], ARGV[1], now)
return 'due'
