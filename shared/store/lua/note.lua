#!lua flags=allow-oom
-- KEYS timeline request_of
-- Add an entry to a payment's timeline, and store the payment of the request that caused it.
-- ARGV entry, limit, ttl_ms, payment id ('' when no request caused it)
append(key.timeline, { ARGV[1] }, now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3]))
if ARGV[4] ~= '' then redis.call('SET', key.request_of, ARGV[4], 'PX', ARGV[3]) end
