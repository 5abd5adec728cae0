#!lua flags=allow-oom
-- KEYS due item*
-- Schedule missing duties of upkeep; in an empty Redis all are due now.
-- ARGV duty…
for i, duty in ipairs(ARGV) do
  redis.call('HSETNX', key.item[i], 'state', 'queued')
  redis.call('HSETNX', key.item[i], 'recorded_at', 0)
  redis.call('ZADD', key.due, 'NX', 0, duty)
end
