#!lua flags=allow-oom
-- KEYS item due body attempts payment payment_index timeline intent_of request_of made outbox notification_due notification_queue notification_index breaker ended_members notification_item*
-- Finish a claimed item together with all its effects: the payment's new state, its timeline and its
-- notifications. Either all of it is written or none. With a delay the item is not finished: it
-- starts again later, with no attempt counted.
-- ARGV template, plan: id, fence, state, fields, tombstone_ms, body_ms, attempt, limit,
--      payment? {id, revision, known, heard_at, index {add[], drop[]}}, names_charge?,
--      names_request?, names_key? (whether intent_of, request_of, made are to name the payment),
--      made_ms, payment_ms, timeline[], timeline_limit,
--      notifications[] {id, fields, timeline} (one for each notification_item), guard_ms, open_ms,
--      delay_ms, ended ('' unless a member of a batch came to an end with it)
-- Returns {'settled', staged, suppressed}, {'lost'} (another worker holds or finished it), or
-- {'moved'} (the payment changed since it was read: read again and decide again).
local p = cjson.decode(ARGV[2])
if not held(key.item, p.fence) then return { 'lost' } end
if p.payment and (redis.call('HGET', key.payment, 'revision') or '0') ~= p.payment.revision then
  return { 'moved' }
end
local now = now_ms()
redis.call('HSET', key.item, 'state', p.state)
set(key.item, p.fields)
redis.call('HDEL', key.item, 'lease_until', 'not_before', 'delay_ms', 'token')
if p.delay_ms > 0 then
  redis.call('HSET', key.item, 'attempts', 0, 'not_before', now + p.delay_ms,
    'delay_ms', p.delay_ms)
  redis.call('HDEL', key.item, 'first_attempt_at')
  redis.call('ZADD', key.due, now + p.delay_ms, p.id)
  append(key.attempts, { p.attempt }, now, p.limit, 0)
else
  redis.call('HSET', key.item, 'finished_at', now)
  redis.call('ZREM', key.due, p.id)
  redis.call('PEXPIRE', key.item, p.tombstone_ms)
  if p.body_ms > 0 then redis.call('PEXPIRE', key.body, p.body_ms) else redis.call('DEL', key.body) end
  append(key.attempts, { p.attempt }, now, p.limit, p.tombstone_ms)
end
if p.payment then
  redis.call('HSET', key.payment, 'id', p.payment.id, 'known', p.payment.known, 'updated_at', now)
  redis.call('HSETNX', key.payment, 'heard_at', p.payment.heard_at)
  redis.call('HINCRBY', key.payment, 'revision', 1)
  redis.call('PEXPIRE', key.payment, p.payment_ms)
  if #p.payment.index.drop > 0 then
    redis.call('ZREM', key.payment_index, unpack(p.payment.index.drop))
  end
  redis.call('ZADD', key.payment_index, unpack(p.payment.index.add))
  if p.names_charge then
    redis.call('SET', key.intent_of, p.payment.id, 'PX', p.payment_ms)
  end
  if p.names_request then
    redis.call('SET', key.request_of, p.payment.id, 'PX', p.payment_ms)
  end
  if p.names_key then redis.call('SET', key.made, p.payment.id, 'PX', p.made_ms) end
end
local staged, suppressed = 0, 0
for i, n in ipairs(p.notifications) do
  local notification = key.notification_item[i]
  if redis.call('EXISTS', notification) == 1 then
    suppressed = suppressed + 1
  else
    staged = staged + 1
    local to = { item = notification, index = key.notification_index, outbox = key.outbox,
      due = key.notification_due, queue = key.notification_queue, breaker = key.breaker }
    local sequence = redis.call('HINCRBY', key.payment, 'sequence', 1)
    stage(to, ARGV[1], n, sequence, p.guard_ms, p.open_ms, now)
    p.timeline[#p.timeline + 1] = n.timeline
  end
end
append(key.timeline, p.timeline, now, p.timeline_limit, p.payment_ms)
if p.ended ~= '' then redis.call('RPUSH', key.ended_members, p.ended) end
return { 'settled', staged, suppressed }
