-- views_write: the newest attack, position and state of players of one shard, coalesced.
-- KEYS[1] base of the players' shard
-- ARGV    time to live of a position in ms, of attacks and states in ms, number of attacks, of moves, of states, then
--         per attack: attacker, target, id, damage, at (RFC 3339, UTC, ms); per move: player, id, lat, lon, at;
--         per state: player, match, at, number of fields, field, ..., value, ...; an empty number in place of number and
--         fields says that they are those of the state before it
-- Returns keys written: those with a newer view are left alone
-- Keeps   a view is the newest that was ever written, by its time and then by its id, in whatever order they came; attacks
--         and states live on for their time less an hour at least: their expiry is moved once an hour, not at each write.
local HOUR = 13 -- 2026-11-21T08

-- Whether to write, and the time of what is there.
local function newer(key, at, id)
  local old_at = redis.call('HGET', key, 'at')
  if old_at ~= at then return not old_at or old_at < at, old_at end
  local old_id = redis.call('HGET', key, 'id')
  if not old_id then return true, old_at end
  -- Ids of one writer end in a number: the longer one is the later one.
  if #old_id ~= #id then return #old_id < #id, old_at end
  return old_id <= id, old_at
end

local function keep(key, old_at, at, keep_ms)
  if not old_at or string.sub(old_at, 1, HOUR) ~= string.sub(at, 1, HOUR) then redis.call('PEXPIRE', key, keep_ms) end
end

register('views_write', function(keys, args)
  local base, move_ms, keep_ms = keys[1], args[1], args[2]
  local at, written = 6, 0
  for _ = 1, tonumber(args[3]) do
    local key = base .. ':attack:' .. args[at] .. ':' .. args[at + 1]
    local write, old_at = newer(key, args[at + 4], args[at + 2])
    if write then
      redis.call('HSET', key, 'id', args[at + 2], 'damage', args[at + 3], 'at', args[at + 4])
      keep(key, old_at, args[at + 4], keep_ms)
      written = written + 1
    end
    at = at + 5
  end
  for _ = 1, tonumber(args[4]) do
    local key = base .. ':move:' .. args[at]
    if newer(key, args[at + 4], args[at + 1]) then
      redis.call('HSET', key, 'id', args[at + 1], 'lat', args[at + 2], 'lon', args[at + 3], 'at', args[at + 4])
      redis.call('PEXPIRE', key, move_ms)
      written = written + 1
    end
    at = at + 5
  end
  local row, fields = { 'HSET', '', 'match', '', 'at', '' }, 0
  for _ = 1, tonumber(args[5]) do
    local key, match, when = base .. ':player:' .. args[at], args[at + 1], args[at + 2]
    local first = at + 4 -- of the values
    if args[at + 3] ~= '' then
      fields = tonumber(args[at + 3])
      for i = 0, fields - 1 do row[7 + 2 * i] = args[first + i] end
      first = first + fields
    end
    local old = redis.call('HMGET', key, 'at', 'match')
    local old_at, old_match = old[1], old[2]
    if not old_at or old_at < when or (old_at == when and (old_match or '') <= match) then
      -- What another match knew of the player says nothing in this one.
      if old_match and old_match ~= match then
        redis.call('DEL', key)
        old_at = nil
      end
      row[2], row[4], row[6] = key, match, when
      for i = 0, fields - 1 do row[8 + 2 * i] = args[first + i] end
      redis.call(unpack(row, 1, 6 + 2 * fields))
      keep(key, old_at, when, keep_ms)
      written = written + 1
    end
    at = first + fields
  end
  return written
end)
