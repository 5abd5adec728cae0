#!lua flags=allow-oom
-- KEYS figures
-- Add what a process counted to everybody's figures; they are few, so even a full store takes them.
-- ARGV field, amount, …
for i = 1, #ARGV, 2 do redis.call('HINCRBYFLOAT', key.figures, ARGV[i], ARGV[i + 1]) end
