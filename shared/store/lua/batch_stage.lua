#!lua
-- KEYS batch_members batch_places batch_payments
-- Write some members of a batch that is not recorded yet, under temporary names: a batch of
-- thousands is written in parts, so that Redis is never blocked for long.
-- ARGV start (number of members written before), ttl_ms; then for each member: its payment, its
--      state's number, its JSON text. A repeated run changes nothing.
local start = tonumber(ARGV[1])
if redis.call('LLEN', key.batch_payments) ~= start then return end
local members, places, payments = {}, {}, {}
for i = 3, #ARGV, 3 do
  local n = start + #payments
  members[#members + 1], members[#members + 2] = ARGV[i], ARGV[i + 2]
  places[#places + 1], places[#places + 2] = ARGV[i + 1] * PLACES_A_STATE + n, ARGV[i]
  payments[#payments + 1] = ARGV[i]
end
redis.call('HSET', key.batch_members, unpack(members))
redis.call('ZADD', key.batch_places, unpack(places))
redis.call('RPUSH', key.batch_payments, unpack(payments))
for _, name in ipairs({ key.batch_members, key.batch_places, key.batch_payments }) do
  redis.call('PEXPIRE', name, ARGV[2])
end
