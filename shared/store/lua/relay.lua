#!lua flags=allow-oom
-- Ring again for whatever is due: lost doorbells, lapsed leases, retries whose time has come.
-- KEYS due, queue
-- ARGV limit, guard_ms, high_water, template
-- Returns {rung, milliseconds the oldest was overdue}; nothing while the queue is above its
-- high-water mark, so that neither the list nor a worker's memory grows with the backlog.
local limit, guard_ms, high_water = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = high_water - redis.call('LLEN', KEYS[2])
if room <= 0 then return { 0, 0 } end
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0,
  math.min(limit, room))
local overdue = 0
if #due > 0 then overdue = now - tonumber(due[2]) end
for i = 1, #due, 2 do
  redis.call('ZADD', KEYS[1], now + guard_ms, due[i])
  ring(KEYS[2], ARGV[4], due[i], now)
end
return { #due / 2, overdue }
