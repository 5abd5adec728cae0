#!lua
-- KEYS batch batch_members batch_places
-- Set members of a running batch back to not begun, to refund them once more; nothing stays of their
-- last try, and those that had been counted as done are not part of the rate since the resume.
-- ARGV until (ms: members that ended later are skipped), from (state), payment…
-- Returns the number of these members.
if redis.call('HGET', key.batch, 'state') ~= 'running' then return 0 end
local moved = 0
for i = 3, #ARGV do
  local member = cjson.decode(redis.call('HGET', key.batch_members, ARGV[i]))
  if member.state == ARGV[2] and (member.ended_at or 0) <= tonumber(ARGV[1]) then
    local changes = { state = 'not_begun', tries = member.tries + 1, job = '', refund_id = '',
      reason = '', failure_code = '', failure_message = '' }
    move_member(key.batch, key.batch_members, key.batch_places, ARGV[i], member, changes)
    moved = moved + 1
  end
end
if ARGV[2] ~= 'late' then redis.call('HINCRBY', key.batch, 'done_before', -moved) end
return moved
