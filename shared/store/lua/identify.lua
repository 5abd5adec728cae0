#!lua flags=allow-oom
-- KEYS identity
-- Write whose store this is where nothing is written yet; return what is written then.
-- ARGV field, value, …
for i = 1, #ARGV, 2 do redis.call('HSETNX', key.identity, ARGV[i], ARGV[i + 1]) end
return redis.call('HGETALL', key.identity)
