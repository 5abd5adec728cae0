#!lua flags=allow-oom
-- KEYS garbage
-- Keep a message that nobody can read for a person to look at; the oldest go.
-- ARGV entry, limit, ttl_ms
append(key.garbage, { ARGV[1] }, now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3]))
