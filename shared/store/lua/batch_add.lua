#!lua
-- KEYS batch batch_members batch_places batch_payments
-- Add late payments to a running or paused batch; payments that it has already are skipped.
-- ARGV text… (each member's JSON; its payment and its number are filled in here)
-- Returns the number of added payments.
local state = redis.call('HGET', key.batch, 'state')
if state ~= 'running' and state ~= 'paused' then return 0 end
local added, now = 0, now_ms()
for _, text in ipairs(ARGV) do
  local member = cjson.decode(text)
  if redis.call('HEXISTS', key.batch_members, member.payment) == 0 then
    member.n = redis.call('RPUSH', key.batch_payments, member.payment) - 1
    member.ended_at = now
    redis.call('HSET', key.batch_members, member.payment, cjson.encode(member))
    redis.call('ZADD', key.batch_places,
      STATE_NUMBER[member.state] * PLACES_A_STATE + member.n, member.payment)
    count_member(key.batch, member, 1)
    redis.call('HINCRBY', key.batch, 'revision', 1)
    added = added + 1
  end
end
return added
