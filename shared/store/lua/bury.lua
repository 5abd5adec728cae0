#!lua flags=allow-oom
-- Make a claimed event or refund job a dead letter: it keeps its payload and its evidence.
-- KEYS item, due, attempts, dead
-- ARGV plan: id, fence, error, attempt, limit
-- Returns 1, or 0 when the claim was lost.
local p = cjson.decode(ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'fence', 'state')
if held[1] ~= p.fence or held[2] ~= 'processing' then return 0 end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', 'dead', 'finished_at', now, 'error', p.error)
redis.call('HDEL', KEYS[1], 'lease_until', 'not_before', 'token')
redis.call('ZREM', KEYS[2], p.id)
redis.call('ZADD', KEYS[4], now, p.id)
append(KEYS[3], { p.attempt }, p.limit, 0)
redis.call('PERSIST', KEYS[3])
return 1
