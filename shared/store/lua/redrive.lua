#!lua
-- Give a finished item another life, with a fresh budget and an audit entry of who and when.
-- KEYS item, due, attempts, dead, queue, outbox, body, audit
-- ARGV template, plan: id, token, states[], state, fields, entry, limit, audit, audit_limit,
--      guard_ms, ordered
-- Returns 'redriven', 'unknown', or the state of an item that is not to be redriven.
-- Asking again with the same token changes nothing more, so a lost reply costs nothing.
local p = cjson.decode(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'state', 'redrive_token')
if not held[1] then return 'unknown' end
if held[2] == p.token then return 'redriven' end
local allowed = false
for _, state in ipairs(p.states) do allowed = allowed or state == held[1] end
if not allowed then return held[1] end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', p.state, 'attempts', 0, 'crashes', 0, 'redriven_at', now,
  'redrive_token', p.token)
redis.call('HDEL', KEYS[1], 'finished_at', 'first_attempt_at', 'not_before', 'token', 'decision')
redis.call('HINCRBY', KEYS[1], 'fence', 1)
set(KEYS[1], p.fields)
-- What was to be forgotten after a while is needed again; the next end sets new terms.
for _, i in ipairs({ 1, 3, 7 }) do redis.call('PERSIST', KEYS[i]) end
redis.call('ZREM', KEYS[4], p.id)
append(KEYS[3], { p.entry }, p.limit, 0)
append(KEYS[8], { p.audit }, p.audit_limit, 0)
if p.ordered and redis.call('RPUSH', KEYS[6], p.id) > 1 then
  redis.call('HSET', KEYS[1], 'state', 'waiting')
  return 'redriven'
end
redis.call('ZADD', KEYS[2], now + p.guard_ms, p.id)
ring(KEYS[5], ARGV[1], p.id, now)
return 'redriven'
