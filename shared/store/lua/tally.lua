#!lua flags=allow-oom
-- Add what a process counted to everybody's figures; they are few, so even a full store takes them.
-- KEYS figures    ARGV field, amount, …
for i = 1, #ARGV, 2 do redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], ARGV[i + 1]) end
return #ARGV / 2
