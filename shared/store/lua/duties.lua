#!lua flags=allow-oom
-- Schedule the duties of upkeep where they are missing: on an empty store, all are due now.
-- KEYS due, item…    ARGV duty…
for i, duty in ipairs(ARGV) do
  redis.call('HSETNX', KEYS[i + 1], 'state', 'queued')
  redis.call('HSETNX', KEYS[i + 1], 'recorded_at', 0)
  redis.call('ZADD', KEYS[1], 'NX', 0, duty)
end
return 1
