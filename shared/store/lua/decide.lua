#!lua
-- KEYS audit
-- Keep what a person decided.
-- ARGV entry, limit
append(key.audit, { ARGV[1] }, now_ms(), tonumber(ARGV[2]), 0)
