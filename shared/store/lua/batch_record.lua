#!lua
-- KEYS batch batch_members batch_places batch_payments batches active_batches notification_item notification_due notification_queue notification_index breaker outbox spending*
-- Record a batch of refunds with all its members, and tell of it, in one step; an id that is known
-- changes nothing. What it comes to counts against its caller's ceilings, if he has any.
-- ARGV template, plan: id, fields, notification {id, fields}, guard_ms, open_ms,
--      ceilings[] {amount, ceiling} (one for each spending), hour_ms; then for each member: its
--      payment, its state's number, its JSON text
-- Returns {'recorded'}, {'known'} or {'ceiling', after how many ms it may fit}.
local p = cjson.decode(ARGV[2])
if redis.call('EXISTS', key.batch) == 1 then return { 'known' } end
local now = now_ms()
for i, one in ipairs(p.ceilings) do
  local wait_ms = spend(key.spending[i], one.amount, one.ceiling, p.hour_ms, now)
  if wait_ms > 0 then return { 'ceiling', wait_ms } end
end
redis.call('HSET', key.batch, 'id', p.id, 'recorded_at', now, 'resumed_at', now,
  'sequence', 1)
set(key.batch, p.fields)
for i = 3, #ARGV, 3 do
  local n = (i - 3) / 3
  redis.call('HSET', key.batch_members, ARGV[i], ARGV[i + 2])
  redis.call('ZADD', key.batch_places, ARGV[i + 1] * PLACES_A_STATE + n, ARGV[i])
  redis.call('RPUSH', key.batch_payments, ARGV[i])
end
redis.call('ZADD', key.batches, now, p.id)
redis.call('ZADD', key.active_batches, now, p.id)
local to = { item = key.notification_item, index = key.notification_index, outbox = key.outbox,
  due = key.notification_due, queue = key.notification_queue, breaker = key.breaker }
stage(to, ARGV[1], p.notification, 1, p.guard_ms, p.open_ms, now)
return { 'recorded' }
