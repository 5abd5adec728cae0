#!lua
-- KEYS item due queue body index timeline accounts
-- Record an item of work and schedule it in the same step: the item, its due time, its doorbell.
-- ARGV template, plan: id, state, fields, guard_ms, max_waiting, timeline[], timeline_limit,
--      timeline_ttl_ms, account ('' for our own: others are compared with Stripe, too); body?
-- Returns {'recorded'}, {'known'}, or {'full'} (nothing is written).
local p = cjson.decode(ARGV[2])
if redis.call('EXISTS', key.item) == 1 then
  redis.call('HINCRBY', key.item, 'deliveries', 1)
  return { 'known' }
end
if redis.call('ZCARD', key.due) >= p.max_waiting then return { 'full' } end
local now = now_ms()
redis.call('HSET', key.item, 'id', p.id, 'state', p.state, 'attempts', 0, 'crashes', 0,
  'fence', 0, 'deliveries', 1, 'recorded_at', now)
set(key.item, p.fields)
if ARGV[3] then redis.call('SET', key.body, ARGV[3]) end
redis.call('ZADD', key.index, now, p.id)
if p.account ~= '' then redis.call('ZADD', key.accounts, 'NX', 0, p.account) end
append(key.timeline, p.timeline, now, p.timeline_limit, p.timeline_ttl_ms)
schedule(key.due, now + p.guard_ms, key.queue, ARGV[1], p.id, now)
return { 'recorded' }
