#!lua
-- KEYS spending item
-- Count an amount against a ceiling of the last hour, unless its refund job is already recorded.
-- ARGV amount, ceiling, hour_ms
-- Returns 0 when it fits, else the milliseconds until it may fit.
if redis.call('EXISTS', key.item) == 1 then return 0 end
return spend(key.spending, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms())
