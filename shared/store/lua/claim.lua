#!lua flags=allow-oom
-- KEYS item due body breaker probe
-- Claim an item for one worker: count the attempt, raise the fence, start the lease.
-- ARGV id, lease_ms, token, pause_ms (0: it does not need the event service), probe_ms, open_ms
-- Returns {item fields, body|false}, or false when there is nothing to do now.
-- A repeated call with the same token gives the same claim, so a lost reply costs nothing.
local id, lease_ms, token, pause_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local probe_ms, open_ms = tonumber(ARGV[5]), tonumber(ARGV[6])
local item = redis.call('HMGET', key.item, 'state', 'lease_until', 'not_before', 'token', 'delay_ms')
local state = item[1]
local open = { received = true, queued = true, retrying = true, processing = true, waiting = true }
if not open[state] then
  redis.call('ZREM', key.due, id)
  return false
end
-- A notification that waits behind another of its payment is in no index until that one is finished.
if state == 'waiting' and not redis.call('ZSCORE', key.due, id) then return false end
local now = now_ms()
if item[4] ~= token then
  -- A lease that ends later than a lease can was written before the clock was set back.
  local lease_left = tonumber(item[2] or 0) - now
  if state == 'processing' and lease_left > 0 and lease_left <= lease_ms then return false end
  local early = tonumber(item[3] or 0) - now
  if early > 0 and early <= tonumber(item[5] or early) then return false end
  -- While the breaker is open, one probe at a time goes to the event service.
  if pause_ms > 0 and lives(key.breaker, open_ms)
    and (lives(key.probe, probe_ms)
      or not redis.call('SET', key.probe, '1', 'NX', 'PX', probe_ms)) then
    redis.call('HSET', key.item, 'not_before', now + pause_ms, 'delay_ms', pause_ms)
    redis.call('ZADD', key.due, now + pause_ms, id)
    return false
  end
  -- Still 'processing' after its lease: its worker died or was cut off.
  if state == 'processing' then redis.call('HINCRBY', key.item, 'crashes', 1) end
  redis.call('HINCRBY', key.item, 'attempts', 1)
  redis.call('HINCRBY', key.item, 'fence', 1)
  redis.call('HSETNX', key.item, 'first_attempt_at', now)
  redis.call('HSET', key.item, 'state', 'processing', 'lease_until', now + lease_ms,
    'claimed_at', now, 'token', token)
  redis.call('HDEL', key.item, 'not_before', 'delay_ms')
  redis.call('ZADD', key.due, now + lease_ms, id)
end
return { redis.call('HGETALL', key.item), redis.call('GET', key.body) }
