#!lua flags=allow-oom
-- KEYS budget
-- Take tokens for calls to Stripe from two buckets, the account's and the endpoint's: from both or
-- from none. A bucket fills at its rate up to its depth; after a 429 of Stripe it fills at a share of
-- the rate, which grows back to the full rate. A token may be taken in advance if it will be there
-- within the patience; a refused caller gets a time of its own for its next try, so that waiting
-- callers do not all come at once.
-- ARGV plan: priority, count (0: only lower), may_owe, patience_ms, buckets[] {name, depth, rate
--      (tokens a second), floor (tokens left to others), most_owed}, lowered[] (names), least_share,
--      recovery_ms, together_ms, longest_ms, keep_ms
-- Returns {1, ms to wait before the call} or {0, ms until the next try}.
local p = cjson.decode(ARGV[1])
local now = now_ms()

-- A time later than now was written before the clock was set back.
local function since(at) return math.max(0, now - math.min(now, tonumber(at or now))) end

local function lower(name)
  local was = redis.call('HMGET', key.budget, name .. ':share', name .. ':lowered_at')
  if was[2] and since(was[2]) < p.together_ms then return end
  local share = math.min(1, tonumber(was[1] or 1) + since(was[2]) / p.recovery_ms)
  redis.call('HSET', key.budget, name .. ':share', math.max(p.least_share, share / 2),
    name .. ':lowered_at', now, name .. ':level', 0, name .. ':at', now)
end

-- Bring a bucket up to date and compute the time until it has the requested tokens.
local function fill(bucket)
  local name = bucket.name
  local is = redis.call('HMGET', key.budget, name .. ':level', name .. ':at', name .. ':share',
    name .. ':lowered_at')
  local share = math.min(1, tonumber(is[3] or 1) + since(is[4]) / p.recovery_ms)
  bucket.per_ms = bucket.rate * share / 1000
  local level = tonumber(is[1] or bucket.depth) + since(is[2]) * bucket.per_ms
  bucket.level = math.min(bucket.depth, level)
  bucket.wait = math.max(0, (bucket.floor + p.count - bucket.level) / bucket.per_ms)
end

for _, name in ipairs(p.lowered) do lower(name) end
redis.call('PEXPIRE', key.budget, p.keep_ms)
if p.count == 0 then return { 1, 0 } end
local slowest = p.buckets[1]
for _, bucket in ipairs(p.buckets) do
  fill(bucket)
  if bucket.wait > slowest.wait then slowest = bucket end
end
if not p.may_owe and slowest.wait > p.patience_ms then
  local line = slowest.name .. ':line:' .. p.priority
  local last = tonumber(redis.call('HGET', key.budget, line) or 0)
  if last > now + p.longest_ms then last = 0 end
  local turn = math.max(last, now + slowest.wait) + p.count / slowest.per_ms
  redis.call('HSET', key.budget, line, math.ceil(turn))
  return { 0, math.ceil(turn - now) }
end
for _, bucket in ipairs(p.buckets) do
  local level = math.max(bucket.level - p.count, -bucket.most_owed)
  redis.call('HSET', key.budget, bucket.name .. ':level', level, bucket.name .. ':at', now)
end
redis.call('PEXPIRE', key.budget, p.keep_ms)
return { 1, p.may_owe and 0 or math.ceil(slowest.wait) }
