"""The store's keys, and the scripts that change or read them: each is atomic and one round trip.

All keys share the hash tag `{om}`, so that a cluster keeps them in one slot.

| key | holds |
|---|---|
| `{om}:meta` | `born` names this life of the store; `drops`, `next` (last series id), `spans`, `gens` are counters |
| `{om}:series`, `{om}:ids` | series id → labels as JSON, and back |
| `{om}:spans` | series id → `first:last` hour with samples |
| `{om}:hours:METRIC` | hour → generation; a generation is never used twice and changes when an hour is rewritten |
| `{om}:open:HOUR:METRIC` | rows appended since the hour was last sealed (`segments.ROW`) |
| `{om}:sealed:HOUR:METRIC` | the sealed block of an hour (`segments.encode`); rows of the open key are later writes |
| `{om}:unsealed` | set of `HOUR:METRIC` that have an open key |
| `{om}:json:KIND:KEY` | one JSON value with its time to live |
"""

from __future__ import annotations

META = "{om}:meta"
"""Named in every call, so that a cluster client finds the slot."""
UNSEALED = "{om}:unsealed"


def json_key(kind: str, key: str) -> str:
    """Where one JSON value of a kind (answers, sessions, …) lives."""
    return f"{{om}}:json:{kind}:{key}"


_HEAD = """
local P = '{om}:'
local call = redis.call
local function state()
  local m = call('HMGET', P..'meta', 'born', 'drops', 'next', 'spans')
  return {m[1] or '', tonumber(m[2] or 0), tonumber(m[3] or 0), tonumber(m[4] or 0)}
end
local function span(text)
  local first, last = string.match(text, '^(-?%d+):(-?%d+)$')
  return tonumber(first), tonumber(last)
end
"""

ASSIGN = (
    _HEAD
    + """
-- ARGV: labels as JSON of each series. Returns state, then the id of each.
if call('HEXISTS', P..'meta', 'born') == 0 then
  local now = call('TIME')
  call('HSET', P..'meta', 'born', now[1]..'.'..now[2])
end
local out = {false}
for i, text in ipairs(ARGV) do
  local id = call('HGET', P..'ids', text)
  if not id then
    id = call('HINCRBY', P..'meta', 'next', 1)
    call('HSET', P..'ids', text, id)
    call('HSET', P..'series', id, text)
  end
  out[i + 1] = tonumber(id)
end
out[1] = state()
return out
"""
)

APPEND = (
    _HEAD
    + """
-- ARGV: born, drops, [[metric, hour, bytes]], [[id, first, last]], rows.
-- Returns state, then {length of the open key, generation of a fresh hour or 0} of each.
-- Where series were dropped since, so that ids may be void, it does nothing and returns the state alone.
local s = state()
if s[1] ~= ARGV[1] or s[2] ~= tonumber(ARGV[2]) then return {s} end
local out, at = {false}, 1
for i, part in ipairs(cjson.decode(ARGV[3])) do
  local name = part[2]..':'..part[1]
  local length = call('APPEND', P..'open:'..name, string.sub(ARGV[5], at, at + part[3] - 1))
  local fresh = 0
  if length == part[3] then
    call('SADD', P..'unsealed', name)
    if call('HEXISTS', P..'hours:'..part[1], part[2]) == 0 then
      fresh = call('HINCRBY', P..'meta', 'gens', 1)
      call('HSET', P..'hours:'..part[1], part[2], fresh)
    end
  end
  out[i + 1] = {length, fresh}
  at = at + part[3]
end
local wider = cjson.decode(ARGV[4])
for _, new in ipairs(wider) do
  local first, last = new[2], new[3]
  local old = call('HGET', P..'spans', new[1])
  if old then
    local a, b = span(old)
    first, last = math.min(first, a), math.max(last, b)
  end
  call('HSET', P..'spans', new[1], first..':'..last)
end
if #wider > 0 then call('HINCRBY', P..'meta', 'spans', 1) end
out[1] = state()
return out
"""
)

READ = (
    _HEAD
    + """
-- ARGV: {born, drops, next, spans (-1: not wanted), metrics: [[metric, first, last, {hour: [generation, end]}]]}.
-- Returns state, is the catalogue whole (or what is new), {id, labels, …}, {id, span, …},
-- then of each metric the hours that differ: {hour, generation, 1, '', new rows} continues what was known,
-- {hour, generation, 0, sealed, rows} replaces it, {hour, 0} is gone.
local q, s = cjson.decode(ARGV[1]), state()
local reborn = s[1] ~= q.born
local whole = reborn or s[2] ~= q.drops or s[3] < q.next
local series, spans = {}, {}
if whole then series = call('HGETALL', P..'series')
else
  for id = q.next + 1, s[3] do
    local text = call('HGET', P..'series', id)
    if text then series[#series + 1] = id; series[#series + 1] = text end
  end
end
if q.spans >= 0 and (whole or q.spans ~= s[4]) then spans = call('HGETALL', P..'spans') end

local function generations(metric, first, last)
  local found, key = {}, P..'hours:'..metric
  if last - first > 200 then
    local all = call('HGETALL', key)
    for i = 1, #all, 2 do
      local hour = tonumber(all[i])
      if first <= hour and hour <= last then found[all[i]] = tonumber(all[i + 1]) end
    end
  elseif last >= first then
    local hours = {}
    for hour = first, last do hours[#hours + 1] = string.format('%d', hour) end
    for i, gen in ipairs(call('HMGET', key, unpack(hours))) do
      if gen then found[hours[i]] = tonumber(gen) end
    end
  end
  return found
end

local function changes(metric, first, last, known)
  local out, found = {}, generations(metric, first, last)
  for hour, gen in pairs(found) do
    local open, old = P..'open:'..hour..':'..metric, known[hour]
    if old and old[1] == gen and call('STRLEN', open) >= old[2] then
      local tail = call('GETRANGE', open, old[2], -1)
      if tail ~= '' then out[#out + 1] = {hour, gen, 1, '', tail} end
    else
      local sealed = call('GET', P..'sealed:'..hour..':'..metric) or ''
      out[#out + 1] = {hour, gen, 0, sealed, call('GETRANGE', open, 0, -1)}
    end
  end
  for hour in pairs(known) do
    if not found[hour] then out[#out + 1] = {hour, 0} end
  end
  return out
end

local out = {s, whole and 1 or 0, series, spans}
for _, m in ipairs(q.metrics) do
  out[#out + 1] = changes(m[1], m[2], m[3], reborn and {} or m[4])
end
return out
"""
)

REWRITE = (
    _HEAD
    + """
-- ARGV: [[metric, hour, generation, end, bytes]], sealed blocks. Rows beyond `end` were written since and stay open.
-- Returns the new generation of each; 0 where the hour is empty now, -1 where another rewrote it before.
local out, at = {}, 1
for i, part in ipairs(cjson.decode(ARGV[1])) do
  local hours, name = P..'hours:'..part[1], part[2]..':'..part[1]
  local gen = -1
  if tonumber(call('HGET', hours, part[2]) or 0) == part[3] then
    local rest = call('GETRANGE', P..'open:'..name, part[4], -1)
    if part[5] > 0 then call('SET', P..'sealed:'..name, string.sub(ARGV[2], at, at + part[5] - 1))
    else call('DEL', P..'sealed:'..name) end
    if rest ~= '' then call('SET', P..'open:'..name, rest)
    else
      call('DEL', P..'open:'..name)
      call('SREM', P..'unsealed', name)
    end
    if part[5] == 0 and rest == '' then call('HDEL', hours, part[2]); gen = 0
    else
      gen = call('HINCRBY', P..'meta', 'gens', 1)
      call('HSET', hours, part[2], gen)
    end
  end
  out[i] = gen
  at = at + part[5]
end
return out
"""
)

TRIM = (
    _HEAD
    + """
-- ARGV: [metric], cutoff hour. Drops older hours; returns how many.
local dropped = 0
for _, metric in ipairs(cjson.decode(ARGV[1])) do
  for _, hour in ipairs(call('HKEYS', P..'hours:'..metric)) do
    if tonumber(hour) < tonumber(ARGV[2]) then
      local name = hour..':'..metric
      call('UNLINK', P..'open:'..name, P..'sealed:'..name)
      call('SREM', P..'unsealed', name)
      call('HDEL', P..'hours:'..metric, hour)
      dropped = dropped + 1
    end
  end
end
return dropped
"""
)

RESPAN = (
    _HEAD
    + """
-- ARGV: [[id, old span, new span or '']]. An empty span takes the series out of the catalogue.
-- A span that was widened meanwhile stays. Counts as a drop, so that nobody goes on with the old spans.
for _, part in ipairs(cjson.decode(ARGV[1])) do
  if call('HGET', P..'spans', part[1]) == part[2] then
    if part[3] ~= '' then call('HSET', P..'spans', part[1], part[3])
    else
      local text = call('HGET', P..'series', part[1])
      if text then call('HDEL', P..'ids', text) end
      call('HDEL', P..'series', part[1])
      call('HDEL', P..'spans', part[1])
    end
  end
end
call('HINCRBY', P..'meta', 'drops', 1)
call('HINCRBY', P..'meta', 'spans', 1)
"""
)
