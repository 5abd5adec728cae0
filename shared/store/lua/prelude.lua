-- Spliced into every script behind its keys. Times are Redis's: hosts may disagree.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
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

-- Say whether a claim still holds: nobody has claimed or finished the item since.
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

-- Have an item looked at now: ring for it, and ring again at `at` if nobody came.
local function schedule(due, at, queue, template, id, now)
  redis.call('ZADD', due, at, id)
  ring(queue, template, id, now)
end

-- Append JSON objects to a bounded list that lives as long as what it tells about; each that does
-- not bring its time gets the present one.
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

-- Say whether a key that lives `most_ms` lives. One that would live longer outlived a clock that
-- was set back, and is cut.
local function lives(name, most_ms)
  local left = redis.call('PTTL', name)
  if left > most_ms then redis.call('DEL', name) end
  return left ~= -2 and left <= most_ms
end
