#!lua flags=allow-oom
-- Hand a claimed item back for later: a retry keeps the attempt, a snooze gives it back.
-- KEYS item, due, attempts
-- ARGV plan: id, fence, delay_ms, give_back, error, attempt (JSON text or ''), limit, ttl_ms
-- Returns the time (ms) it is due again, or 0 when the claim was lost.
local p = cjson.decode(ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'fence', 'state')
if held[1] ~= p.fence or held[2] ~= 'processing' then return 0 end
local due_at = now_ms() + p.delay_ms
redis.call('HSET', KEYS[1], 'state', 'retrying', 'not_before', due_at, 'error', p.error)
redis.call('HDEL', KEYS[1], 'lease_until', 'token')
if p.give_back then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
redis.call('ZADD', KEYS[2], due_at, p.id)
if p.attempt ~= '' then append(KEYS[3], { p.attempt }, p.limit, p.ttl_ms) end
return due_at
