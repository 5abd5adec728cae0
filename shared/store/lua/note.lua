#!lua flags=allow-oom
-- KEYS timeline
-- Add an entry to a payment's timeline.
-- ARGV entry, limit, ttl_ms
append(key.timeline, { ARGV[1] }, now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3]))
