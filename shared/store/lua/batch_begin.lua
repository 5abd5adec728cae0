#!lua
-- KEYS batch batch_members batch_places item due queue index timeline accounts ended_members
-- Begin a member of a running batch: record its refund job, unless it is left out, and set the
-- member's state, in one step.
-- ARGV template, plan: payment, changes (of the member, its new state with them), id,
--      fields, guard_ms, entry, timeline_limit, timeline_ttl_ms, account ('' for our own),
--      pace_ms (between two beginnings), behind_ms (most that is made up for)
-- Returns 'begun', or the state of the batch or of the member that forbids it.
local p = cjson.decode(ARGV[2])
local state = redis.call('HGET', key.batch, 'state')
if state ~= 'running' then return state or 'unknown' end
local member = cjson.decode(redis.call('HGET', key.batch_members, p.payment))
if member.state ~= 'not_begun' then return member.state end
if p.changes.state == 'begun' and redis.call('EXISTS', key.item) == 1 then
  -- Redis had lost the job, and it was restored from its refund: its end is in the list.
  redis.call('HSET', key.item, 'batch_id', p.fields.batch_id, 'payment_id', p.payment)
  redis.call('RPUSH', key.ended_members, p.id .. ':restored')
elseif p.changes.state == 'begun' then
  local now = now_ms()
  redis.call('HSET', key.item, 'recorded_at', now)
  set(key.item, p.fields)
  redis.call('ZADD', key.index, now, p.id)
  if p.account ~= '' then redis.call('ZADD', key.accounts, 'NX', 0, p.account) end
  append(key.timeline, { p.entry }, now, p.timeline_limit, p.timeline_ttl_ms)
  schedule(key.due, now + p.guard_ms, key.queue, ARGV[1], p.id, now)
  local paced_to = tonumber(redis.call('HGET', key.batch, 'paced_to') or 0)
  redis.call('HSET', key.batch, 'paced_to', math.max(paced_to, now - p.behind_ms) + p.pace_ms)
end
move_member(key.batch, key.batch_members, key.batch_places, p.payment, member, p.changes)
return 'begun'
