-- Spliced into every script before its keys. Times are Redis's: hosts may disagree.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Refuse a key of another type before anything is written: what a script wrote before it fails stays.
local function of_type(name, wanted)
  local is = redis.call('TYPE', name).ok
  if is ~= wanted and is ~= 'none' then
    error('WRONGTYPE ' .. name .. ' is a ' .. is .. ', not a ' .. wanted)
  end
end

-- Write many fields of a hash at once.
local function set(name, fields)
  local flat = {}
  for field, value in pairs(fields) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  if #flat > 0 then redis.call('HSET', name, unpack(flat)) end
end

-- Say whether a claim still holds: the item was not claimed or finished since.
local function held(item, fence)
  local current = redis.call('HMGET', item, 'fence', 'state')
  return current[1] == fence and current[2] == 'processing'
end

-- Push one Celery message that carries nothing but an id. Function replacement, because
-- a string replacement would read '%' as a directive.
local function ring(queue, template, id, now)
  local marks = { ID = id, TAG = id .. ':' .. string.format('%.0f', now) }
  redis.call('LPUSH', queue, (string.gsub(template, '@@(%u+)@@', marks)))
end

-- Ring for an item now, and let the relay ring again at `at` if no worker claimed it.
local function schedule(due, at, queue, template, id, now)
  redis.call('ZADD', due, at, id)
  ring(queue, template, id, now)
end

-- Append JSON objects to a bounded list with the expiry of its item or payment; an object without a
-- time gets the current one.
local function append(name, entries, now, limit, ttl_ms)
  local length = 0
  for _, entry in ipairs(entries) do
    if string.sub(entry, 1, 9) ~= '{"at_ms":' then
      entry = string.format('{"at_ms":%.0f,', now) .. string.sub(entry, 2)
    end
    length = redis.call('RPUSH', name, entry)
  end
  if length > limit then redis.call('LTRIM', name, -limit, -1) end
  if length > 0 and ttl_ms > 0 then redis.call('PEXPIRE', name, ttl_ms) end
end

-- Say whether a key exists whose expiry is at most `most_ms`. A longer expiry was set before the
-- clock was set back, and is shortened.
local function lives(name, most_ms)
  local left = redis.call('PTTL', name)
  if left > most_ms then redis.call('DEL', name) end
  return left ~= -2 and left <= most_ms
end

-- Write a new notification behind the unfinished ones in its outbox, and ring if it is the first.
local function stage(to, template, n, sequence, guard_ms, open_ms, now)
  redis.call('HSET', to.item, 'id', n.id, 'attempts', 0, 'crashes', 0, 'fence', 0,
    'recorded_at', now, 'sequence', sequence)
  set(to.item, n.fields)
  redis.call('ZADD', to.index, now, n.id)
  if redis.call('RPUSH', to.outbox, n.id) > 1 then
    redis.call('HSET', to.item, 'state', 'waiting')
    return
  end
  redis.call('HSET', to.item, 'state', 'queued')
  redis.call('ZADD', to.due, now + guard_ms, n.id)
  if not lives(to.breaker, open_ms) then ring(to.queue, template, n.id, now) end
end

-- Return when the request under an Idempotency-Key had its effect, whose answer may be lost; 0 for never.
local function done_at(idempotency)
  return tonumber(redis.call('HGET', idempotency, 'done_at') or 0)
end

-- Note that it had, in the record that the request began; there is none for what upkeep does.
local function note_done(idempotency, now)
  if redis.call('EXISTS', idempotency) == 1 then redis.call('HSET', idempotency, 'done_at', now) end
end

-- Return 0 when an amount fits under a ceiling of the last hour, else the milliseconds until it may.
local function until_it_fits(spending, amount, ceiling, hour_ms, now)
  local spent = redis.call('HGETALL', spending)
  local sum, oldest = 0, now
  for i = 1, #spent, 2 do
    local at = tonumber(spent[i])
    if at <= now - hour_ms or at > now then
      redis.call('HDEL', spending, spent[i])
    else
      sum, oldest = sum + tonumber(spent[i + 1]), math.min(oldest, at)
    end
  end
  return sum + amount > ceiling and oldest + hour_ms - now or 0
end

-- Return 0 when amounts fit under their ceilings {amount, ceiling} of the last hour, each in its
-- currency's spending, else the milliseconds until they may.
local function until_all_fit(spendings, ceilings, hour_ms, now)
  local wait_ms = 0
  for i, one in ipairs(ceilings) do
    wait_ms = math.max(wait_ms, until_it_fits(spendings[i], one.amount, one.ceiling, hour_ms, now))
  end
  return wait_ms
end

-- Count amounts against their ceilings of the last hour, all of them or none. Returns 0 when all fit,
-- else the milliseconds until they may.
local function spend(spendings, ceilings, hour_ms, now)
  local wait_ms = until_all_fit(spendings, ceilings, hour_ms, now)
  if wait_ms > 0 then return wait_ms end
  local minute = string.format('%.0f', now - now % 60000)
  for i, one in ipairs(ceilings) do
    redis.call('HINCRBY', spendings[i], minute, string.format('%.0f', one.amount))
    redis.call('PEXPIRE', spendings[i], hour_ms)
  end
  return 0
end

-- The states of a batch's member, in the order of `MEMBER_STATES` in shared/work/batch.py;
-- a state begins at its number times this in the set of places.
local PLACES_A_STATE = 1000000
local STATE_NUMBER = { not_begun = 0, begun = 1, waiting = 2, pending = 3, refunded = 4, failed = 5,
  left_out = 6, dead = 7, late = 8 }

-- Count a member of a batch, and its amount, in its state: by 1 or by -1.
local function count_member(batch, member, by)
  redis.call('HINCRBY', batch, 'count:' .. member.state, by)
  if member.amount > 0 then
    redis.call('HINCRBY', batch, 'amount:' .. member.state .. ':' .. member.currency,
      string.format('%.0f', by * member.amount))
  end
end

-- Set the state of a member of a batch, with its place and the counts.
local function move_member(batch, members, places, payment, member, changes)
  count_member(batch, member, -1)
  for name, value in pairs(changes) do member[name] = value end
  count_member(batch, member, 1)
  redis.call('HINCRBY', batch, 'revision', 1)
  redis.call('HSET', members, payment, cjson.encode(member))
  redis.call('ZADD', places, STATE_NUMBER[member.state] * PLACES_A_STATE + member.n, payment)
end
