#!lua flags=allow-oom
-- KEYS due queue
-- Ring again for every due item: lost doorbells, lapsed leases, due retries.
-- ARGV limit, guard_ms, high_water, template
-- Returns the number of rings; 0 while the queue is above its high-water mark, so that neither the
-- list nor a worker's memory grows with the backlog.
local limit, guard_ms, high_water = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = high_water - redis.call('LLEN', key.queue)
if room <= 0 then return 0 end
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', key.due, '-inf', now, 'LIMIT', 0, math.min(limit, room))
for _, id in ipairs(due) do schedule(key.due, now + guard_ms, key.queue, ARGV[4], id, now) end
return #due
