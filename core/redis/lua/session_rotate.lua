-- session_rotate: change a session's refresh token for the next one.
-- KEYS[1] key of the player's sessions
-- ARGV    session id, digest of the token presented, digest of the next token, now_ms, until_ms of the next
-- Returns 'ok' | 'reused' where an older token came back, and the session is gone | 'gone'
-- Keeps   a refresh token is good once: whoever comes second, thief or owner, ends the session;
--         a repeat of the same call is recognised by its next token.
register('session_rotate', function(keys, args)
  local key, id = keys[1], args[1]
  local found = redis.call('HGET', key, id)
  if not found then return 'gone' end
  local session = cjson.decode(found)
  if session.digest == args[3] then return 'ok' end
  if session.until_ms <= tonumber(args[4]) or session.digest ~= args[2] then
    redis.call('HDEL', key, id)
    return session.digest == args[2] and 'gone' or 'reused'
  end
  redis.call('HSET', key, id, cjson.encode({ digest = args[3], until_ms = tonumber(args[5]) }))
  if redis.call('PTTL', key) < tonumber(args[5]) - tonumber(args[4]) then redis.call('PEXPIREAT', key, args[5]) end
  return 'ok'
end)
