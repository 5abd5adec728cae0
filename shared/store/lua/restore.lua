#!lua flags=allow-oom
-- KEYS item index refund_of
-- Restore a refund job that Redis lost, from the refund that it made, unless the job exists.
-- ARGV id, tombstone_ms, payment_ms, refund_id, recorded_at (ms), then the item's fields, each
--      before its value
-- Returns 1 when it was restored, 0 when it existed.
if redis.call('EXISTS', key.item) == 1 then return 0 end
redis.call('HSET', key.item, 'id', ARGV[1], 'state', 'finished', 'refund_id', ARGV[4],
  'recorded_at', ARGV[5], 'finished_at', now_ms(), unpack(ARGV, 6))
redis.call('PEXPIRE', key.item, ARGV[2])
redis.call('ZADD', key.index, ARGV[5], ARGV[1])
redis.call('SET', key.refund_of, ARGV[1], 'PX', ARGV[3])
return 1
