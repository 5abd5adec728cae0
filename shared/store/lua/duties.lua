#!lua flags=allow-oom
-- KEYS due item*
-- Schedule the duties of upkeep where they are missing: on an empty store, all are due now.
-- ARGV duty…
for i, duty in ipairs(ARGV) do
  redis.call('HSETNX', key.item[i], 'state', 'queued')
  redis.call('HSETNX', key.item[i], 'recorded_at', 0)
  redis.call('ZADD', key.due, 'NX', 0, duty)
end
