#!lua flags=allow-oom
-- KEYS idempotency
-- End the request with an idempotency key: store its answer, or let the next request try at once.
-- ARGV token, answer ('' to store none)
if redis.call('HGET', key.idempotency, 'token') ~= ARGV[1] then return end
redis.call('HDEL', key.idempotency, 'lease_until')
if ARGV[2] ~= '' then redis.call('HSET', key.idempotency, 'answer', ARGV[2]) end
