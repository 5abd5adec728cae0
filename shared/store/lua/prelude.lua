-- Spliced into every script after its first line. Times are the server's: hosts may disagree.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Write many fields of a hash at once.
local function set(key, fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  if #flat > 0 then redis.call('HSET', key, unpack(flat)) end
end

-- Push one Celery message that carries nothing but an id. Function replacement, because
-- a string replacement would read '%' as a directive.
local function ring(queue, template, id, now)
  local marks = { ID = id, TAG = id .. ':' .. string.format('%.0f', now) }
  redis.call('LPUSH', queue, (string.gsub(template, '@@(%u+)@@', marks)))
end

-- Append to a bounded list that lives as long as what it tells about.
local function append(key, entries, limit, ttl_ms)
  for _, entry in ipairs(entries) do redis.call('RPUSH', key, entry) end
  if #entries > 0 then
    redis.call('LTRIM', key, -limit, -1)
    if ttl_ms > 0 then redis.call('PEXPIRE', key, ttl_ms) end
  end
end
