-- views_write: the latest attack, position and state of players of one shard, coalesced.
-- KEYS[1] base of the players' shard
-- ARGV    time to live of a position in s, of attacks and states in s, number of attacks, of moves, of states, then
--         per attack: attacker, target, id, damage, at (RFC 3339); per move: player, id, lat, lon, at;
--         per state: player, number of fields, field, value, ...
-- Returns keys written
-- Keeps   a view is the last value written; writing it twice is writing it once.
register('views_write', function(keys, args)
  local base, move_s, keep_s = keys[1], args[1], args[2]
  local at = 6
  for _ = 1, tonumber(args[3]) do
    local key = base .. ':attack:' .. args[at] .. ':' .. args[at + 1]
    redis.call('HSET', key, 'id', args[at + 2], 'damage', args[at + 3], 'at', args[at + 4])
    redis.call('EXPIRE', key, keep_s)
    at = at + 5
  end
  for _ = 1, tonumber(args[4]) do
    local key = base .. ':move:' .. args[at]
    redis.call('HSET', key, 'id', args[at + 1], 'lat', args[at + 2], 'lon', args[at + 3], 'at', args[at + 4])
    redis.call('EXPIRE', key, move_s)
    at = at + 5
  end
  for _ = 1, tonumber(args[5]) do
    local key, fields = base .. ':player:' .. args[at], tonumber(args[at + 1])
    redis.call('HSET', key, unpack(args, at + 2, at + 1 + 2 * fields))
    redis.call('EXPIRE', key, keep_s)
    at = at + 2 + 2 * fields
  end
  return tonumber(args[3]) + tonumber(args[4]) + tonumber(args[5])
end)
