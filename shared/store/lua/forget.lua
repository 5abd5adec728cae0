#!lua flags=allow-oom
-- KEYS payment payment_index
-- Remove members of the index that a payment no longer has, unless it changed since it was read.
-- ARGV revision ('0' for a payment that is forgotten), member...
-- Returns how many were removed.
if (redis.call('HGET', key.payment, 'revision') or '0') ~= ARGV[1] then return 0 end
return redis.call('ZREM', key.payment_index, unpack(ARGV, 2))
