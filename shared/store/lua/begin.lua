#!lua
-- KEYS idempotency
-- Begin, resume or replay the request with an idempotency key.
-- ARGV fingerprint, token, lease_ms, ttl_ms, resumable_ms
-- Returns {'begun'}, {'mismatch'}, {'replay', answer}, {'running', remaining ms} or {'expired'}.
local record = key.idempotency
local fingerprint, token = ARGV[1], ARGV[2]
local lease_ms, ttl_ms, resumable_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
local r = redis.call('HMGET', record, 'fingerprint', 'answer', 'lease_until', 'begun_at', 'token')
local left = tonumber(r[3] or 0) - now
if not r[1] then
  redis.call('HSET', record, 'fingerprint', fingerprint, 'begun_at', now)
  redis.call('PEXPIRE', record, ttl_ms)
elseif r[1] ~= fingerprint then
  return { 'mismatch' }
elseif r[2] then
  return { 'replay', r[2] }
elseif r[5] ~= token and left > 0 and left <= lease_ms then
  return { 'running', left }
elseif now - tonumber(r[4]) > resumable_ms then
  return { 'expired' }
end
redis.call('HSET', record, 'token', token, 'lease_until', now + lease_ms)
return { 'begun' }
