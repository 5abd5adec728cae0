#!lua
-- KEYS batch batch_members batch_places
-- Set members of a running batch back to not begun, to refund them once more.
-- ARGV until (ms: members that ended later are skipped), from (state), payment…
-- Returns the number of these members.
if redis.call('HGET', key.batch, 'state') ~= 'running' then return 0 end
local moved = 0
for i = 3, #ARGV do
  local member = cjson.decode(redis.call('HGET', key.batch_members, ARGV[i]))
  if member.state == ARGV[2] and (member.ended_at or 0) <= tonumber(ARGV[1]) then
    local changes = { state = 'not_begun', tries = member.tries + 1 }
    move_member(key.batch, key.batch_members, key.batch_places, ARGV[i], member, changes)
    moved = moved + 1
  end
end
return moved
