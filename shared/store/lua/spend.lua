#!lua
-- KEYS item idempotency spending*
-- Count amounts against ceilings of the last hour, all or none, unless their refund job is recorded or
-- their request is counted in this hour.
-- ARGV ceilings[] {amount, ceiling} (one for each spending), hour_ms
-- Returns 0 when all fit, else the milliseconds until they may fit.
local now, hour_ms = now_ms(), tonumber(ARGV[2])
if redis.call('EXISTS', key.item) == 1 then return 0 end
if done_at(key.idempotency) > now - hour_ms then return 0 end
local wait_ms = spend(key.spending, cjson.decode(ARGV[1]), hour_ms, now)
if wait_ms == 0 then note_done(key.idempotency, now) end
return wait_ms
