#!lua
-- KEYS batch batch_members batch_places batch_payments
-- Add late payments to a running or paused batch. Of the payments that it has already, those that were
-- left out without a refund job become late; the others are skipped.
-- ARGV text… (each member's JSON; the number of a new one is filled in here)
-- Returns the number of payments that became late.
local state = redis.call('HGET', key.batch, 'state')
if state ~= 'running' and state ~= 'paused' then return 0 end
local added, now = 0, now_ms()
for _, text in ipairs(ARGV) do
  local late = cjson.decode(text)
  local current = redis.call('HGET', key.batch_members, late.payment)
  local member = cjson.decode(current or text)
  if not current then
    member.n = redis.call('RPUSH', key.batch_payments, late.payment) - 1
    count_member(key.batch, member, 1)
  end
  if not current or (member.state == 'left_out' and (member.job or '') == '') then
    local changes = { state = late.state, amount = late.amount, currency = late.currency, reason = '',
      ended_at = now }
    move_member(key.batch, key.batch_members, key.batch_places, late.payment, member, changes)
    added = added + 1
  end
end
return added
