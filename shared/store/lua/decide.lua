#!lua
-- KEYS audit
-- Record a decision of an operator.
-- ARGV entry, limit
append(key.audit, { ARGV[1] }, now_ms(), tonumber(ARGV[2]), 0)
