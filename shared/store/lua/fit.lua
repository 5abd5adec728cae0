#!lua
-- KEYS spending*
-- Say whether amounts fit under ceilings of the last hour, and count none of them.
-- ARGV ceilings[] {amount, ceiling} (one for each spending), hour_ms
-- Returns 0 when all fit, else the milliseconds until they may fit.
return until_all_fit(key.spending, cjson.decode(ARGV[1]), tonumber(ARGV[2]), now_ms())
