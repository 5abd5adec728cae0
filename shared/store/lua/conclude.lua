#!lua flags=allow-oom
-- End the request behind an idempotency key: keep its answer, or let the next one try at once.
-- KEYS record
-- ARGV token, answer ('' when there is none to keep)
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'lease_until')
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'answer', ARGV[2]) end
return 1
