#!lua flags=allow-oom
-- KEYS figures rates*
-- Add the counts of a process to the figures; they are few, so even a full Redis accepts them. Counts
-- that belong to a rate are also added to the bucket of the current time; the first count of a bucket
-- removes buckets older than a day.
-- ARGV bucket_ms, buckets, then of each series: field, amount, the number of its rate (0: none),
--      its part of the bucket
local bucket_ms, buckets = tonumber(ARGV[1]), tonumber(ARGV[2])
local bucket = math.floor(now_ms() / bucket_ms)
for i = 3, #ARGV, 4 do
  redis.call('HINCRBYFLOAT', key.figures, ARGV[i], ARGV[i + 1])
  local rate = key.rates[tonumber(ARGV[i + 2])]
  if rate then
    local field = string.format('%.0f', bucket) .. ARGV[i + 3]
    if redis.call('HEXISTS', rate, field) == 0 then
      for _, old in ipairs(redis.call('HKEYS', rate)) do
        local number = tonumber(string.match(old, '^%d+'))
        if number <= bucket - buckets or number > bucket then redis.call('HDEL', rate, old) end
      end
    end
    redis.call('HINCRBYFLOAT', rate, field, ARGV[i + 1])
    redis.call('PEXPIRE', rate, bucket_ms * (buckets + 1))
  end
end
