#!lua
-- KEYS item due queue body index timeline accounts
-- Record an item of work and schedule it in the same step: the item, its due time, its doorbell.
-- ARGV template, id, max_waiting, guard_ms, body ('' for none), account ('' for our own: others
--      are compared with Stripe, too), entry of the timeline ('' for none), its limit, its ttl_ms,
--      then the item's fields, each before its value. No JSON: reading it took half of the time.
-- Returns {'recorded'}, {'known'}, or {'full'} (nothing is written).
local template, id, max_waiting, guard_ms, body, account, entry, limit, ttl_ms = unpack(ARGV, 1, 9)
if redis.call('EXISTS', key.item) == 1 then
  redis.call('HINCRBY', key.item, 'deliveries', 1)
  return { 'known' }
end
if redis.call('ZCARD', key.due) >= tonumber(max_waiting) then return { 'full' } end
local now = now_ms()
redis.call('HSET', key.item, 'recorded_at', now, unpack(ARGV, 10))
if body ~= '' then redis.call('SET', key.body, body) end
redis.call('ZADD', key.index, now, id)
if account ~= '' then redis.call('ZADD', key.accounts, 'NX', 0, account) end
if entry ~= '' then append(key.timeline, { entry }, now, tonumber(limit), tonumber(ttl_ms)) end
schedule(key.due, now + guard_ms, key.queue, template, id, now)
return { 'recorded' }
