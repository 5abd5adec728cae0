#!lua
-- KEYS item due attempts dead queue outbox body audit
-- Redrive a finished item, with a new budget of attempts and an audit entry of who and when.
-- ARGV template, plan: id, token, states[], state, fields, entry, limit, audit, audit_limit,
--      guard_ms, ordered
-- Returns 'redriven', 'unknown', or the state of an item that cannot be redriven.
-- A repeated call with the same token changes nothing more, so a lost reply costs nothing.
local p = cjson.decode(ARGV[2])
local item = redis.call('HMGET', key.item, 'state', 'redrive_token')
if not item[1] then return 'unknown' end
if item[2] == p.token then return 'redriven' end
local allowed = false
for _, state in ipairs(p.states) do allowed = allowed or state == item[1] end
if not allowed then return item[1] end
local now = now_ms()
redis.call('HSET', key.item, 'state', p.state, 'attempts', 0, 'crashes', 0, 'redriven_at', now,
  'redrive_token', p.token)
redis.call('HDEL', key.item, 'finished_at', 'first_attempt_at', 'not_before', 'delay_ms', 'token',
  'decision')
set(key.item, p.fields)
-- A finished item has an expiry, which is removed here; the next end sets a new one.
for _, name in ipairs({ key.item, key.attempts, key.body }) do redis.call('PERSIST', name) end
redis.call('ZREM', key.dead, p.id)
append(key.attempts, { p.entry }, now, p.limit, 0)
append(key.audit, { p.audit }, now, p.audit_limit, 0)
if p.ordered and redis.call('RPUSH', key.outbox, p.id) > 1 then
  redis.call('HSET', key.item, 'state', 'waiting')
else
  schedule(key.due, now + p.guard_ms, key.queue, ARGV[1], p.id, now)
end
return 'redriven'
