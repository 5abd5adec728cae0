#!lua flags=allow-oom
-- KEYS breaker failing
-- Count the payments that fail in a row; open the breaker at the threshold, or keep it open.
-- ARGV payment id, threshold, open_ms
redis.call('SADD', key.failing, ARGV[1])
redis.call('PEXPIRE', key.failing, ARGV[3])
if redis.call('SCARD', key.failing) >= tonumber(ARGV[2]) then
  redis.call('SET', key.breaker, now_ms(), 'PX', ARGV[3])
end
