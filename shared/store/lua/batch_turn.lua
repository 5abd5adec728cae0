#!lua flags=allow-oom
-- KEYS batch active_batches batch_members batch_places batch_payments notification_item notification_due notification_queue notification_index breaker outbox audit idempotency spending*
-- Change the state of a batch, stage its notification, count more amounts against its caller's ceilings
-- and audit an operator's decision, in one step; a request that was carried out before has no effect.
-- ARGV template, plan: id, revision, from[], to, fields, drop[], resumed, active, keep_ms (0: for
--      ever), notification? {id, fields}, guard_ms, open_ms, ceilings[] {amount, ceiling} (one for
--      each spending), hour_ms, audit[] (an operator's entry), audit_limit
-- Returns 'turned'; 'moved' when a member changed since the batch was read: read and decide again;
-- the state of the batch from which this change is not allowed; or the milliseconds until the amounts
-- may fit under the ceilings.
local p = cjson.decode(ARGV[2])
if done_at(key.idempotency) > 0 then return 'turned' end
local batch = redis.call('HMGET', key.batch, 'state', 'revision')
local allowed = false
for _, state in ipairs(p.from) do allowed = allowed or state == batch[1] end
if not allowed then return batch[1] or 'unknown' end
if (batch[2] or '0') ~= p.revision then return 'moved' end
local now = now_ms()
local wait_ms = spend(key.spending, p.ceilings, p.hour_ms, now)
if wait_ms > 0 then return wait_ms end
redis.call('HSET', key.batch, 'state', p.to, 'turned_at', now)
redis.call('HINCRBY', key.batch, 'revision', 1)
if #p.drop > 0 then redis.call('HDEL', key.batch, unpack(p.drop)) end
if p.resumed then redis.call('HSET', key.batch, 'resumed_at', now) end
set(key.batch, p.fields)
if p.active then
  redis.call('ZADD', key.active_batches, now, p.id)
else
  redis.call('ZREM', key.active_batches, p.id)
end
for _, name in ipairs({ key.batch, key.batch_members, key.batch_places, key.batch_payments }) do
  if p.keep_ms > 0 then redis.call('PEXPIRE', name, p.keep_ms) else redis.call('PERSIST', name) end
end
if p.notification then
  local to = { item = key.notification_item, index = key.notification_index, outbox = key.outbox,
    due = key.notification_due, queue = key.notification_queue, breaker = key.breaker }
  local sequence = redis.call('HINCRBY', key.batch, 'sequence', 1)
  stage(to, ARGV[1], p.notification, sequence, p.guard_ms, p.open_ms, now)
end
append(key.audit, p.audit, now, p.audit_limit, 0)
note_done(key.idempotency, now)
return 'turned'
