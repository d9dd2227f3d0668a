-- session_open: add a session of a player.
-- KEYS[1] key of the player's sessions
-- ARGV    session id, digest of its refresh token, now_ms, until_ms, most sessions of a player
-- Returns {'ok', session that was dropped...} | {'erased'} where the player is, and nothing was written
-- Keeps   at most that many sessions: those that ended and then the oldest (ids sort by birth) are dropped;
--         a player who was erased has none; a repeat of the same call changes nothing.
register('session_open', function(keys, args)
  local key, now, most = keys[1], tonumber(args[3]), tonumber(args[5])
  if redis.call('HEXISTS', account_of(key), 'erased_ms') == 1 then return { 'erased' } end
  redis.call('HSET', key, args[1], cjson.encode({ digest = args[2], until_ms = tonumber(args[4]) }))
  local found, kept, last, dropped = redis.call('HGETALL', key), {}, 0, { 'ok' }
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
  for i = 1, #kept - most do
    redis.call('HDEL', key, kept[i])
    dropped[#dropped + 1] = kept[i]
  end
  redis.call('PEXPIREAT', key, string.format('%.0f', last))
  return dropped
end)
