#!lua flags=allow-oom
-- Finish a claimed item together with all it means: the payment's new state, its timeline and
-- the notifications that follow. All of it happens, or none.
-- KEYS item, due, body, attempts, payment, timeline, outbox, due of notifications,
--      queue of notifications, index of notifications, breaker
-- ARGV template, plan: id, fence, state, fields, tombstone_ms, body_ms, attempt, limit,
--      payment? {id, revision, known, ttl_ms}, timeline[], timeline_limit,
--      notifications[] {id, key, fields, timeline}, guard_ms
-- Returns {'settled', staged, suppressed}, {'lost'} (another worker holds or finished it), or
-- {'moved'} (the payment changed since it was read: read again and decide again).
local p = cjson.decode(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'fence', 'state')
if held[1] ~= p.fence or held[2] ~= 'processing' then return { 'lost' } end
if p.payment and (redis.call('HGET', KEYS[5], 'revision') or '0') ~= p.payment.revision then
  return { 'moved' }
end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', p.state, 'finished_at', now)
set(KEYS[1], p.fields)
redis.call('HDEL', KEYS[1], 'lease_until', 'not_before', 'token')
redis.call('ZREM', KEYS[2], p.id)
redis.call('PEXPIRE', KEYS[1], p.tombstone_ms)
if p.body_ms > 0 then redis.call('PEXPIRE', KEYS[3], p.body_ms) else redis.call('DEL', KEYS[3]) end
if p.attempt ~= '' then append(KEYS[4], { p.attempt }, p.limit, p.tombstone_ms) end
if not p.payment then return { 'settled', 0, 0 } end

redis.call('HSET', KEYS[5], 'id', p.payment.id, 'known', p.payment.known, 'updated_at', now)
redis.call('HINCRBY', KEYS[5], 'revision', 1)
redis.call('PEXPIRE', KEYS[5], p.payment.ttl_ms)
local staged, suppressed = 0, 0
for _, n in ipairs(p.notifications) do
  if redis.call('EXISTS', n.key) == 1 then
    suppressed = suppressed + 1
  else
    staged = staged + 1
    redis.call('HSET', n.key, 'id', n.id, 'attempts', 0, 'crashes', 0, 'fence', 0,
      'recorded_at', now, 'sequence', redis.call('HINCRBY', KEYS[5], 'sequence', 1))
    set(n.key, n.fields)
    redis.call('ZADD', KEYS[10], now, n.id)
    p.timeline[#p.timeline + 1] = n.timeline
    if redis.call('RPUSH', KEYS[7], n.id) == 1 then
      redis.call('HSET', n.key, 'state', 'queued')
      redis.call('ZADD', KEYS[8], now + p.guard_ms, n.id)
      if redis.call('EXISTS', KEYS[11]) == 0 then ring(KEYS[9], ARGV[1], n.id, now) end
    else
      redis.call('HSET', n.key, 'state', 'waiting')
    end
  end
end
append(KEYS[6], p.timeline, p.timeline_limit, p.payment.ttl_ms)
return { 'settled', staged, suppressed }
