#!lua flags=allow-oom
-- KEYS item due attempts
-- Return a claimed item for later: a retry counts the attempt, a snooze does not. A duty that was
-- requested again while it ran is due now.
-- ARGV plan: id, fence, delay_ms, give_back, error, attempt (JSON text or ''), limit
-- Returns 1, or 0 when the claim was lost.
local p = cjson.decode(ARGV[1])
if not held(key.item, p.fence) then return 0 end
local now = now_ms()
if redis.call('HDEL', key.item, 'again') == 1 then p.delay_ms = 0 end
redis.call('HSET', key.item, 'state', 'retrying', 'not_before', now + p.delay_ms,
  'delay_ms', p.delay_ms, 'error', p.error)
redis.call('HDEL', key.item, 'lease_until', 'token')
if p.give_back and redis.call('HINCRBY', key.item, 'attempts', -1) == 0 then
  redis.call('HDEL', key.item, 'first_attempt_at')
end
redis.call('ZADD', key.due, now + p.delay_ms, p.id)
if p.attempt ~= '' then append(key.attempts, { p.attempt }, now, p.limit, 0) end
return 1
