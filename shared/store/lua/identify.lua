#!lua flags=allow-oom
-- KEYS identity
-- Write the missing fields of the identity; return all its fields.
-- ARGV field, value, …
for i = 1, #ARGV, 2 do redis.call('HSETNX', key.identity, ARGV[i], ARGV[i + 1]) end
return redis.call('HGETALL', key.identity)
