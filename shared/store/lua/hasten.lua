#!lua
-- KEYS item due queue
-- Make a duty of upkeep due now and ring for it.
-- ARGV id, template, guard_ms, lease_ms
-- Returns 'due', or 'running' when a worker holds it: then it runs once more afterwards.
local now = now_ms()
local item = redis.call('HMGET', key.item, 'state', 'lease_until')
local left = tonumber(item[2] or 0) - now
if item[1] == 'processing' and left > 0 and left <= tonumber(ARGV[4]) then
  redis.call('HSET', key.item, 'again', 1)
  return 'running'
end
redis.call('HSETNX', key.item, 'recorded_at', 0)
redis.call('HSET', key.item, 'state', 'queued')
redis.call('HDEL', key.item, 'not_before', 'delay_ms')
schedule(key.due, now + ARGV[3], key.queue, ARGV[2], ARGV[1], now)
return 'due'
