#!lua flags=allow-oom
-- KEYS latest due*
-- Notice a clock that was set back, and set every due time back with it; otherwise all waiting items
-- would wait until the clock has caught up.
-- ARGV slack_ms
-- Returns the milliseconds by which the clock was set back, 0 when it was not.
local now = now_ms()
local back = tonumber(redis.call('GET', key.latest) or 0) - now
if back < 0 or back > tonumber(ARGV[1]) then redis.call('SET', key.latest, now) end
if back <= tonumber(ARGV[1]) then return 0 end
for _, due in ipairs(key.due) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '(' .. now, '+inf')) do
    redis.call('ZINCRBY', due, -back, id)
  end
end
return back
