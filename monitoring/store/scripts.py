"""The store's keys, and the scripts that samples pass through: each is atomic and one round trip.

All keys of a store share its hash tag, `{om}` or another prefix, so that a cluster keeps them in one slot.

| key | holds |
|---|---|
| `{om}:meta` | `born` names this life of the store; `layout`, `drops`, `next` (last series id), `spans`, `gens` |
| `{om}:series`, `{om}:ids` | series id → group and labels as JSON; labels → id |
| `{om}:sizes` | metric → series ever seen, which gives each new one its group |
| `{om}:spans` | series id → `first:last` hour with samples |
| `{om}:hours:METRIC` | hour → generation; a generation is never used twice and changes when an hour is rewritten |
| `{om}:open:HOUR:METRIC` | rows appended since the hour was last sealed (`segments.ROW`) |
| `{om}:sealed:HOUR:METRIC` | group → sealed block (`segments.encode`); rows of the open key are later writes |
| `{om}:cold:METRIC` | hour → `a:generation`: the cold layer has it too; `e`: what is not here is there |
| `{om}:unsealed`, `{om}:unarchived` | sets of `HOUR:METRIC` that have an open key; that the cold layer lacks |
| `{om}:fence` | the number of the latest collector's lease; older ones may not append |
| channel `om:wrote` | the name of a process that wrote samples |
| `{om}:json:KIND:KEY` | one JSON value with its time to live |
"""

from __future__ import annotations

META = "{om}:meta"
"""Named in every call, so that a cluster client finds the slot."""
WROTE = "om:wrote"
UNSEALED = "{om}:unsealed"
UNARCHIVED = "{om}:unarchived"
LAYOUT = 3
"""Grows when keys change their meaning."""


def json_key(kind: str, key: str) -> str:
    """Where one JSON value of a kind (answers, sessions, …) lives."""
    return f"{{om}}:json:{kind}:{key}"


HEAD = f"""
local P = '{{om}}:'
local LAYOUT = '{LAYOUT}'
local call = redis.call
local function state()
  local m = call('HMGET', P..'meta', 'born', 'drops', 'next', 'spans', 'layout')
  return {{m[1] or '', tonumber(m[2] or 0), tonumber(m[3] or 0), tonumber(m[4] or 0), tonumber(m[5] or 0)}}
end
local function span(text)
  local first, last = string.match(text, '^(-?%d+):(-?%d+)$')
  return tonumber(first), tonumber(last)
end
"""

ASSIGN = (
    HEAD
    + """
-- ARGV: group size, then metric and labels as JSON of each series. Returns state, then {id, group} of each.
-- A store that has not begun its life gets no series: the state comes alone.
if call('HEXISTS', P..'meta', 'born') == 0 then return {state()} end
local out = {false}
for i = 2, #ARGV, 2 do
  local metric, text = ARGV[i], ARGV[i + 1]
  local id, group = call('HGET', P..'ids', text), nil
  if id then
    group = tonumber(string.match(call('HGET', P..'series', id), '^%d+'))
  else
    group = math.floor((call('HINCRBY', P..'sizes', metric, 1) - 1) / tonumber(ARGV[1]))
    id = call('HINCRBY', P..'meta', 'next', 1)
    call('HSET', P..'ids', text, id)
    call('HSET', P..'series', id, group..' '..text)
  end
  out[#out + 1] = {tonumber(id), group}
end
out[1] = state()
return out
"""
)

APPEND = (
    HEAD
    + """
-- ARGV: born, drops, [[metric, hour, bytes]], [[id, first, last]], rows, fence or '', the writer's name.
-- Returns state, then {length of the open key, generation of a fresh hour or 0} of each.
-- Where series were dropped since, so that ids may be void, it does nothing and returns the state alone;
-- where a newer fence was granted it does nothing and returns that fence.
local s = state()
if ARGV[6] ~= '' then
  local fence = tonumber(call('GET', P..'fence') or 0)
  if fence > tonumber(ARGV[6]) then return {fence} end
end
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
call('PUBLISH', 'om:wrote', ARGV[7])
out[1] = state()
return out
"""
)

READ = (
    HEAD
    + """
-- ARGV: {born, drops, next, spans (-1: not wanted),
--        metrics: [[metric, first, last, groups or true, {hour: [generation, end, lacking groups, true or false]}]]}.
-- Returns state, is the catalogue whole (or what is new), {id, group and labels, …}, {id, span, …},
-- then of each metric the hours that differ, each {hour, generation, kind, rows, is it cold, {group, block or '', …}}.
-- Kind 1 continues what was known with new rows and lacking groups, kind 0 replaces it, and {hour, 0} is gone.
-- A group that is asked for and not there comes as ''; of a cold hour it may be in the cold layer.
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

local function blocks(name, wanted)
  local key, out = P..'sealed:'..name, {}
  if wanted == true then return call('HGETALL', key) end
  if wanted and #wanted > 0 then
    for i, body in ipairs(call('HMGET', key, unpack(wanted))) do
      out[#out + 1] = wanted[i]
      out[#out + 1] = body or ''
    end
  end
  return out
end

local function changes(metric, first, last, wanted, known)
  local out, found = {}, generations(metric, first, last)
  for hour, gen in pairs(found) do
    local name, old = hour..':'..metric, known[hour]
    local open = P..'open:'..name
    if old and old[1] == gen and call('STRLEN', open) >= old[2] then
      local tail = call('GETRANGE', open, old[2], -1)
      if tail ~= '' or old[3] then
        local cold = old[3] and call('HGET', P..'cold:'..metric, hour) == 'e'
        out[#out + 1] = {hour, gen, 1, tail, cold and 1 or 0, blocks(name, old[3])}
      end
    else
      local cold = call('HGET', P..'cold:'..metric, hour) == 'e'
      out[#out + 1] = {hour, gen, 0, call('GETRANGE', open, 0, -1), cold and 1 or 0, blocks(name, wanted)}
    end
  end
  for hour in pairs(known) do
    if not found[hour] then out[#out + 1] = {hour, 0} end
  end
  return out
end

local out = {s, whole and 1 or 0, series, spans}
for _, m in ipairs(q.metrics) do
  out[#out + 1] = changes(m[1], m[2], m[3], m[4], reborn and {} or m[5])
end
return out
"""
)
