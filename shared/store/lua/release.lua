#!lua flags=allow-oom
-- Finish a claimed notification, delivered or dead, and let the next of its payment go. One that
-- was delivered closes the breaker.
-- KEYS item, due, attempts, outbox, queue, dead, breaker, failing, probe
-- ARGV template, plan: id, fence, state, error, attempt, limit, tombstone_ms, prefix, guard_ms
-- Returns 1, or 0 when the claim was lost.
local p = cjson.decode(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'fence', 'state')
if held[1] ~= p.fence or held[2] ~= 'processing' then return 0 end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', p.state, 'finished_at', now, 'error', p.error)
redis.call('HDEL', KEYS[1], 'lease_until', 'not_before', 'token')
redis.call('ZREM', KEYS[2], p.id)
append(KEYS[3], { p.attempt }, p.limit, p.tombstone_ms)
if p.state == 'dead' then
  redis.call('ZADD', KEYS[6], now, p.id)
  redis.call('PERSIST', KEYS[3])
else
  redis.call('PEXPIRE', KEYS[1], p.tombstone_ms)
  redis.call('DEL', KEYS[7], KEYS[8], KEYS[9])
end
redis.call('LREM', KEYS[4], 1, p.id)
local follower = redis.call('LINDEX', KEYS[4], 0)
if follower then
  local key = p.prefix .. follower
  if redis.call('HGET', key, 'state') == 'waiting' then
    redis.call('HSET', key, 'state', 'queued')
    redis.call('ZADD', KEYS[2], now + p.guard_ms, follower)
    if redis.call('EXISTS', KEYS[7]) == 0 then ring(KEYS[5], ARGV[1], follower, now) end
  end
end
return 1
