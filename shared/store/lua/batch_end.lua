#!lua flags=allow-oom
-- KEYS batch batch_members batch_places ended_members
-- Take what was handed over from the list, and move a member to where its refund job stands. Who
-- comes when it was taken, or for a job of an earlier try, moves nothing.
-- ARGV plan: payment, job, entry, changes (of the member, its new state with them)
local p = cjson.decode(ARGV[1])
if redis.call('LREM', key.ended_members, 1, p.entry) == 0 then return end
local text = redis.call('HGET', key.batch_members, p.payment)
if text and redis.call('EXISTS', key.batch) == 1 then
  local member = cjson.decode(text)
  if member.job == p.job then
    p.changes.ended_at = now_ms()
    move_member(key.batch, key.batch_members, key.batch_places, p.payment, member, p.changes)
  end
end
