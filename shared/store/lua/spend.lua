#!lua
-- KEYS item spending*
-- Count amounts against ceilings of the last hour, all or none, unless their refund job is recorded.
-- ARGV ceilings[] {amount, ceiling} (one for each spending), hour_ms
-- Returns 0 when all fit, else the milliseconds until they may fit.
if redis.call('EXISTS', key.item) == 1 then return 0 end
return spend(key.spending, cjson.decode(ARGV[1]), tonumber(ARGV[2]), now_ms())
