#!lua flags=allow-oom
-- KEYS batch batch_members batch_places ended_members
-- Take what was handed over of a refund job from the list, and move its member to where it stands.
-- Who comes when all of it was taken, or for a job of an earlier try, moves nothing; nor does one that
-- brings no news: the member ended when it did.
-- ARGV plan: payment, job, entries[], changes (of the member, its new state with them)
local p = cjson.decode(ARGV[1])
local taken = 0
for _, entry in ipairs(p.entries) do
  taken = taken + redis.call('LREM', key.ended_members, 1, entry)
end
if taken == 0 then return end
local text = redis.call('HGET', key.batch_members, p.payment)
if text and redis.call('EXISTS', key.batch) == 1 then
  local member, news = cjson.decode(text), false
  for name, value in pairs(p.changes) do news = news or (member[name] or '') ~= value end
  if news and member.job == p.job then
    p.changes.ended_at = now_ms()
    move_member(key.batch, key.batch_members, key.batch_places, p.payment, member, p.changes)
  end
end
