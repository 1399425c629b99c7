"""Scripts that rewrite, archive, evict and drop hours, and that begin the life of a store. Keys: see `scripts`."""

from __future__ import annotations

from monitoring.store.scripts import HEAD

DUE = (
    HEAD
    + """
-- ARGV: hour, bytes. Returns HOUR:METRIC of the open keys that are older than the hour or have so many bytes.
local due = {}
for _, name in ipairs(call('SMEMBERS', P..'unsealed')) do
  local hour = tonumber(string.match(name, '^(-?%d+):'))
  if hour < tonumber(ARGV[1]) or call('STRLEN', P..'open:'..name) >= tonumber(ARGV[2]) then due[#due + 1] = name end
end
return due
"""
)

REWRITE = (
    HEAD
    + """
-- ARGV: [[metric, hour, generation, end, [[group, bytes]], is anything left]], sealed blocks.
-- Sets the groups given; others stay. Rows beyond `end` were written since and stay open.
-- Returns the new generation of each; 0 where the hour is empty now, -1 where another rewrote it before.
local out, at = {}, 1
for i, part in ipairs(cjson.decode(ARGV[1])) do
  local hours, name = P..'hours:'..part[1], part[2]..':'..part[1]
  local current = tonumber(call('HGET', hours, part[2]) or 0) == part[3]
  local gen = -1
  if current then
    local open = P..'open:'..name
    local rest = call('GETRANGE', open, part[4], -1)
    if rest ~= '' then call('SET', open, rest)
    else
      call('DEL', open)
      call('SREM', P..'unsealed', name)
    end
  end
  for _, group in ipairs(part[5]) do
    if current then call('HSET', P..'sealed:'..name, group[1], string.sub(ARGV[2], at, at + group[2] - 1)) end
    at = at + group[2]
  end
  if current then
    if part[6] == 0 and call('EXISTS', P..'open:'..name) == 0 then
      call('HDEL', hours, part[2])
      call('UNLINK', P..'sealed:'..name)
      call('HDEL', P..'cold:'..part[1], part[2])
      call('SREM', P..'unarchived', name)
      gen = 0
    else
      gen = call('HINCRBY', P..'meta', 'gens', 1)
      call('HSET', hours, part[2], gen)
      call('SADD', P..'unarchived', name)
    end
  end
  out[i] = gen
end
return out
"""
)

SEALED = (
    HEAD
    + """
-- ARGV: [[metric, hour]]. Returns of each {generation, only in part here, {group, block, …}}.
local out = {}
for i, part in ipairs(cjson.decode(ARGV[1])) do
  local name = part[2]..':'..part[1]
  local evicted = call('HGET', P..'cold:'..part[1], part[2]) == 'e'
  local gen = tonumber(call('HGET', P..'hours:'..part[1], part[2]) or 0)
  out[i] = {gen, evicted and 1 or 0, call('HGETALL', P..'sealed:'..name)}
end
return out
"""
)

ARCHIVED = (
    HEAD
    + """
-- ARGV: [[metric, hour, generation]] that the cold layer has. What was rewritten since stays to be archived.
-- Of an hour that was evicted before, what came back here goes again.
for _, part in ipairs(cjson.decode(ARGV[1])) do
  local name, cold = part[2]..':'..part[1], P..'cold:'..part[1]
  if tonumber(call('HGET', P..'hours:'..part[1], part[2]) or 0) == part[3] then
    call('SREM', P..'unarchived', name)
    if call('HGET', cold, part[2]) == 'e' then call('UNLINK', P..'sealed:'..name)
    else call('HSET', cold, part[2], string.format('a:%d', part[3])) end
  end
end
"""
)

EVICT = (
    HEAD
    + """
-- ARGV: [metric], cutoff hour. Removes blocks of older hours that the cold layer has; returns how many hours.
local evicted = 0
for _, metric in ipairs(cjson.decode(ARGV[1])) do
  local cold = P..'cold:'..metric
  local all = call('HGETALL', cold)
  for i = 1, #all, 2 do
    local hour, kept = all[i], all[i + 1]
    if kept ~= 'e' and tonumber(hour) < tonumber(ARGV[2]) then
      if kept == 'a:'..(call('HGET', P..'hours:'..metric, hour) or '') then
        call('UNLINK', P..'sealed:'..hour..':'..metric)
        call('HSET', cold, hour, 'e')
        evicted = evicted + 1
      end
    end
  end
end
return evicted
"""
)

TRIM = (
    HEAD
    + """
-- ARGV: [metric], cutoff hour. Drops older hours; returns how many.
local dropped = 0
for _, metric in ipairs(cjson.decode(ARGV[1])) do
  for _, hour in ipairs(call('HKEYS', P..'hours:'..metric)) do
    if tonumber(hour) < tonumber(ARGV[2]) then
      local name = hour..':'..metric
      call('UNLINK', P..'open:'..name, P..'sealed:'..name)
      call('SREM', P..'unsealed', name)
      call('SREM', P..'unarchived', name)
      call('HDEL', P..'hours:'..metric, hour)
      call('HDEL', P..'cold:'..metric, hour)
      dropped = dropped + 1
    end
  end
end
return dropped
"""
)

RESPAN = (
    HEAD
    + """
-- ARGV: [[id, old span, new span or '']]. An empty span takes the series out of the catalogue.
-- A span that was widened meanwhile stays. Counts as a drop, so that nobody goes on with the old spans.
for _, part in ipairs(cjson.decode(ARGV[1])) do
  if call('HGET', P..'spans', part[1]) == part[2] then
    if part[3] ~= '' then call('HSET', P..'spans', part[1], part[3])
    else
      local text = call('HGET', P..'series', part[1])
      if text then call('HDEL', P..'ids', string.match(text, '^%d+ (.*)$')) end
      call('HDEL', P..'series', part[1])
      call('HDEL', P..'spans', part[1])
    end
  end
end
call('HINCRBY', P..'meta', 'drops', 1)
call('HINCRBY', P..'meta', 'spans', 1)
"""
)

BEGIN = (
    HEAD
    + """
-- ARGV: [[id, metric, group, labels as JSON, first, last]], [[metric, hour]] of the cold layer, its highest generation,
-- group size. Begins the life of a store that has none, and enters what it does not know: a Redis that was lost, or
-- that came back as of an earlier time. Returns how many hours that were.
local now, last, sizes, joined = call('TIME'), 0, {}, 0
if call('HEXISTS', P..'meta', 'born') == 0 then
  call('HSET', P..'meta', 'born', now[1]..'.'..now[2], 'layout', LAYOUT, 'drops', 0, 'spans', 1)
end
for _, s in ipairs(cjson.decode(ARGV[1])) do
  if call('HEXISTS', P..'series', s[1]) == 0 and call('HEXISTS', P..'ids', s[4]) == 0 then
    call('HSET', P..'series', s[1], string.format('%d', s[3])..' '..s[4])
    call('HSET', P..'ids', s[4], s[1])
    call('HSET', P..'spans', s[1], string.format('%d:%d', s[5], s[6]))
  end
  last = math.max(last, s[1])
  sizes[s[2]] = math.max(sizes[s[2]] or 0, (s[3] + 1) * tonumber(ARGV[4]))
end
local function raise(key, field, least)
  if tonumber(call('HGET', key, field) or 0) < least then call('HSET', key, field, string.format('%d', least)) end
end
for metric, size in pairs(sizes) do raise(P..'sizes', metric, size) end
raise(P..'meta', 'next', last)
raise(P..'meta', 'gens', tonumber(ARGV[3]))
for _, part in ipairs(cjson.decode(ARGV[2])) do
  local hour = string.format('%d', part[2])
  if call('HEXISTS', P..'hours:'..part[1], hour) == 0 then
    call('HSET', P..'hours:'..part[1], hour, call('HINCRBY', P..'meta', 'gens', 1))
    call('HSET', P..'cold:'..part[1], hour, 'e')
    joined = joined + 1
  end
end
if joined > 0 then
  call('HINCRBY', P..'meta', 'drops', 1)
  call('HINCRBY', P..'meta', 'spans', 1)
end
return joined
"""
)
