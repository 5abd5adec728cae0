#!lua flags=allow-oom
-- KEYS idempotency
-- End the request behind an idempotency key: keep its answer, or let the next one try at once.
-- ARGV token, answer ('' when there is none to keep)
if redis.call('HGET', key.idempotency, 'token') ~= ARGV[1] then return end
redis.call('HDEL', key.idempotency, 'lease_until')
if ARGV[2] ~= '' then redis.call('HSET', key.idempotency, 'answer', ARGV[2]) end
