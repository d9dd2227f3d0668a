-- session_open: add a session of a player.
-- KEYS[1] key of the player's sessions
-- ARGV    session id, digest of its refresh token, now_ms, until_ms, most sessions of a player
-- Returns how many sessions the player has
-- Keeps   at most that many sessions: those that ended and then the oldest (ids sort by birth) are dropped;
--         a repeat of the same call changes nothing.
register('session_open', function(keys, args)
  local key, now, most = keys[1], tonumber(args[3]), tonumber(args[5])
  redis.call('HSET', key, args[1], cjson.encode({ digest = args[2], until_ms = tonumber(args[4]) }))
  local found, kept, last = redis.call('HGETALL', key), {}, 0
  for i = 1, #found, 2 do
    local till = cjson.decode(found[i + 1]).until_ms
    if till <= now then
      redis.call('HDEL', key, found[i])
    else
      kept[#kept + 1] = found[i]
      last = math.max(last, till)
    end
  end
  table.sort(kept)
  for i = 1, #kept - most do redis.call('HDEL', key, kept[i]) end
  redis.call('PEXPIREAT', key, string.format('%.0f', last))
  return math.min(#kept, most)
end)
