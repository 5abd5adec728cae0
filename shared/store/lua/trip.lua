#!lua flags=allow-oom
-- Count the payments that fail in a row; open the breaker at the threshold, or keep it open.
-- KEYS breaker, failing    ARGV payment id, threshold, open_ms
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if redis.call('SCARD', KEYS[2]) < tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], now_ms(), 'PX', ARGV[3])
return 1
