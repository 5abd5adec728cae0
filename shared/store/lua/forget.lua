#!lua flags=allow-oom
-- KEYS payment payment_index
-- Remove members of the index that a payment no longer has, unless it changed since it was read.
-- ARGV revision ('0' for an expired payment), member…
-- Returns the number of removed members.
if (redis.call('HGET', key.payment, 'revision') or '0') ~= ARGV[1] then return 0 end
return redis.call('ZREM', key.payment_index, unpack(ARGV, 2))
