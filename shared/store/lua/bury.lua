#!lua flags=allow-oom
-- KEYS item due attempts dead ended_members
-- Make a claimed event or refund job a dead letter, which keeps its payload and its evidence.
-- ARGV plan: id, fence, error, attempt, limit, ended ('' unless it is a member of a batch)
-- Returns 1, or 0 when the claim was lost.
local p = cjson.decode(ARGV[1])
if not held(key.item, p.fence) then return 0 end
local now = now_ms()
redis.call('HSET', key.item, 'state', 'dead', 'finished_at', now, 'error', p.error)
redis.call('HDEL', key.item, 'lease_until', 'not_before', 'delay_ms', 'token')
redis.call('ZREM', key.due, p.id)
redis.call('ZADD', key.dead, now, p.id)
append(key.attempts, { p.attempt }, now, p.limit, 0)
redis.call('PERSIST', key.attempts)
if p.ended ~= '' then redis.call('RPUSH', key.ended_members, p.ended) end
return 1
