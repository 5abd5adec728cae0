#!lua
-- Record an item of work and schedule it in the same step: the item, its due time, its doorbell.
-- KEYS item, due, queue, body, index, timeline
-- ARGV template, plan: id, state, fields, guard_ms, max_waiting, timeline[], timeline_limit,
--      timeline_ttl_ms; body?
-- Returns {'recorded'}, {'known', state}, or {'full', waiting} (nothing is written).
local p = cjson.decode(ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'deliveries', 1)
  return { 'known', redis.call('HGET', KEYS[1], 'state') }
end
local waiting = redis.call('ZCARD', KEYS[2])
if waiting >= p.max_waiting then return { 'full', waiting } end
local now = now_ms()
redis.call('HSET', KEYS[1], 'id', p.id, 'state', p.state, 'attempts', 0, 'crashes', 0,
  'fence', 0, 'deliveries', 1, 'recorded_at', now)
set(KEYS[1], p.fields)
if ARGV[3] then redis.call('SET', KEYS[4], ARGV[3]) end
redis.call('ZADD', KEYS[2], now + p.guard_ms, p.id)
redis.call('ZADD', KEYS[5], now, p.id)
append(KEYS[6], p.timeline, p.timeline_limit, p.timeline_ttl_ms)
ring(KEYS[3], ARGV[1], p.id, now)
return { 'recorded' }
