#!lua
-- KEYS payment payment_index
-- Add members to the index for a payment that was settled without them, unless it changed since it
-- was read: then it was settled with them.
-- ARGV revision, then score and member of each
-- Returns the number of new members.
if redis.call('HGET', key.payment, 'revision') ~= ARGV[1] then return 0 end
return redis.call('ZADD', key.payment_index, unpack(ARGV, 2))
