#!lua flags=allow-oom
-- Lend an item to one worker: count the attempt, raise the fence, start the lease.
-- KEYS item, due, body, breaker, probe
-- ARGV id, lease_ms, token, pause_ms (0: it does not need the event service), probe_ms
-- Returns {'claimed', item fields, body|false} or
-- {'gone'|'finished'|'leased'|'early'|'waiting'|'paused'}.
-- Asking again with the same token gives the same claim, so a lost reply costs nothing.
local id, lease_ms, token, pause_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local held = redis.call('HMGET', KEYS[1], 'state', 'lease_until', 'not_before', 'token')
local state = held[1]
if not state then
  redis.call('ZREM', KEYS[2], id)
  return { 'gone' }
end
local open = { received = true, queued = true, retrying = true, processing = true }
if state == 'waiting' then return { 'waiting' } end
if not open[state] then
  redis.call('ZREM', KEYS[2], id)
  return { 'finished' }
end
local now = now_ms()
if held[4] ~= token then
  if state == 'processing' and tonumber(held[2]) > now then return { 'leased' } end
  if held[3] and tonumber(held[3]) > now then return { 'early' } end
  -- While the event service is taken for ill, one probe at a time goes to it.
  if pause_ms > 0 and redis.call('EXISTS', KEYS[4]) == 1
    and not redis.call('SET', KEYS[5], '1', 'NX', 'PX', ARGV[5]) then
    redis.call('HSET', KEYS[1], 'not_before', now + pause_ms)
    redis.call('ZADD', KEYS[2], now + pause_ms, id)
    return { 'paused' }
  end
  -- Still 'processing' after its lease: whoever held it died or was cut off.
  if state == 'processing' then redis.call('HINCRBY', KEYS[1], 'crashes', 1) end
  redis.call('HINCRBY', KEYS[1], 'attempts', 1)
  redis.call('HINCRBY', KEYS[1], 'fence', 1)
  redis.call('HSETNX', KEYS[1], 'first_attempt_at', now)
  redis.call('HSET', KEYS[1], 'state', 'processing', 'lease_until', now + lease_ms,
    'claimed_at', now, 'token', token)
  redis.call('HDEL', KEYS[1], 'not_before')
  redis.call('ZADD', KEYS[2], now + lease_ms, id)
end
return { 'claimed', redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[3]) }
