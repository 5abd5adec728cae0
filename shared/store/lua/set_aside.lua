#!lua flags=allow-oom
-- KEYS garbage
-- Keep an unreadable message for an operator; the oldest messages are dropped.
-- ARGV entry, limit, ttl_ms
append(key.garbage, { ARGV[1] }, now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3]))
