#!lua
-- KEYS batch batch_members batch_places batch_payments new_batch_members new_batch_places new_batch_payments batches active_batches notification_item notification_due notification_queue notification_index breaker outbox audit spending*
-- Record a batch of refunds, its members (written under temporary names) and its notification, in one
-- step; a known id changes nothing. Its amounts count against its caller's ceilings, and an operator's
-- decision is audited.
-- ARGV template, plan: id, fields, notification {id, fields}, guard_ms, open_ms,
--      ceilings[] {amount, ceiling} (one for each spending), hour_ms, members (their number),
--      audit[] (an operator's entry), audit_limit
-- Returns {'recorded'}, {'known'}, {'incomplete'} (some members are missing), or
-- {'ceiling', milliseconds until it may fit}.
local p = cjson.decode(ARGV[2])
if redis.call('EXISTS', key.batch) == 1 then return { 'known' } end
if redis.call('LLEN', key.new_batch_payments) ~= p.members then return { 'incomplete' } end
local now = now_ms()
local wait_ms = spend(key.spending, p.ceilings, p.hour_ms, now)
if wait_ms > 0 then return { 'ceiling', wait_ms } end
redis.call('HSET', key.batch, 'id', p.id, 'recorded_at', now, 'resumed_at', now,
  'sequence', 1)
set(key.batch, p.fields)
redis.call('RENAME', key.new_batch_members, key.batch_members)
redis.call('RENAME', key.new_batch_places, key.batch_places)
redis.call('RENAME', key.new_batch_payments, key.batch_payments)
for _, name in ipairs({ key.batch_members, key.batch_places, key.batch_payments }) do
  redis.call('PERSIST', name)
end
redis.call('ZADD', key.batches, now, p.id)
redis.call('ZADD', key.active_batches, now, p.id)
local to = { item = key.notification_item, index = key.notification_index, outbox = key.outbox,
  due = key.notification_due, queue = key.notification_queue, breaker = key.breaker }
stage(to, ARGV[1], p.notification, 1, p.guard_ms, p.open_ms, now)
append(key.audit, p.audit, now, p.audit_limit, 0)
return { 'recorded' }
