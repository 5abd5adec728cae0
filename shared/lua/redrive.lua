#!lua
-- Give a finished item another life, with a fresh budget and an audit entry of who and when.
-- KEYS item, due, attempts, dead, queue, outbox
-- ARGV plan: id, state, entry, limit, template, guard_ms, ordered
-- Returns 1, or 0 when there is nothing to redrive (unknown, or still at work).
local p = cjson.decode(ARGV[1])
local state = redis.call('HGET', KEYS[1], 'state')
local finished = { dead = true, processed = true, ignored = true, delivered = true }
if not state or not finished[state] then return 0 end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', p.state, 'attempts', 0, 'crashes', 0, 'redriven_at', now)
redis.call('HDEL', KEYS[1], 'finished_at', 'first_attempt_at', 'not_before', 'token')
redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('PERSIST', KEYS[1])
redis.call('ZREM', KEYS[4], p.id)
append(KEYS[3], { p.entry }, p.limit, 0)
if p.ordered and redis.call('RPUSH', KEYS[6], p.id) > 1 then
  redis.call('HSET', KEYS[1], 'state', 'waiting')
  return 1
end
redis.call('ZADD', KEYS[2], now + p.guard_ms, p.id)
ring(KEYS[5], p.template, p.id, now)
return 1
