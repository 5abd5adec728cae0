#!lua flags=allow-oom
-- KEYS item due attempts outbox queue dead breaker failing probe
-- Finish a claimed notification, delivered or dead, and schedule the next of its payment. A delivery
-- closes the breaker.
-- ARGV template, plan: id, fence, state, error, attempt, limit, tombstone_ms, guard_ms, open_ms
-- Returns 1, or 0 when the claim was lost.
local p = cjson.decode(ARGV[2])
if not held(key.item, p.fence) then return 0 end
local now = now_ms()
redis.call('HSET', key.item, 'state', p.state, 'finished_at', now, 'error', p.error)
redis.call('HDEL', key.item, 'lease_until', 'not_before', 'delay_ms', 'token')
redis.call('ZREM', key.due, p.id)
append(key.attempts, { p.attempt }, now, p.limit, p.tombstone_ms)
if p.state == 'dead' then
  redis.call('ZADD', key.dead, now, p.id)
  redis.call('PERSIST', key.attempts)
else
  redis.call('PEXPIRE', key.item, p.tombstone_ms)
  redis.call('DEL', key.breaker, key.failing, key.probe)
end
redis.call('LREM', key.outbox, 1, p.id)
local follower = redis.call('LINDEX', key.outbox, 0)
-- A notification that is in the index already was scheduled before.
if follower and redis.call('ZADD', key.due, 'NX', now + p.guard_ms, follower) == 1
  and not lives(key.breaker, p.open_ms) then
  ring(key.queue, ARGV[1], follower, now)
end
return 1
