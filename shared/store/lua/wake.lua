#!lua flags=allow-oom
-- KEYS item due queue
-- Ring now for an item that was to be retried later, because the fact it needs has arrived. An item
-- in any other state is left alone.
-- ARGV id, template, guard_ms
if redis.call('HGET', key.item, 'state') ~= 'retrying' then return end
local now = now_ms()
redis.call('HDEL', key.item, 'not_before', 'delay_ms')
schedule(key.due, now + ARGV[3], key.queue, ARGV[2], ARGV[1], now)
