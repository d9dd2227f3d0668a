-- session_rotate: change a session's refresh token for the next one.
-- KEYS[1] key of the player's sessions
-- ARGV    session id, digest of the token presented, digest of the one token that follows it, digest of another one, now_ms,
--         until_ms of the next, ms for which a repeat gets the same answer
-- Returns 'next' | 'other': which of the two is good from now on | 'reused' where an older token came back, and the session
--         is gone | 'gone'
-- Keeps   one token is good at any time, and the one before it until that was used: who did not get the answer is let in
--         again, at once with the same token, later with another, which voids the lost one. Any other, whoever brings it,
--         thief or owner, ends the session. A repeat of the same call is recognised.
register('session_rotate', function(keys, args)
  local key, id, given, follows, other, now, till = keys[1], unpack(args, 1, 6)
  local found = redis.call('HGET', key, id)
  if not found then return 'gone' end
  local session = cjson.decode(found)
  if session.digest == other then return 'other' end
  if session.until_ms <= tonumber(now) then
    redis.call('HDEL', key, id)
    return 'gone'
  end
  local new = follows
  if session.digest ~= given then
    if session.before ~= given then
      redis.call('HDEL', key, id)
      return 'reused'
    end
    if session.digest == follows and now - session.at_ms <= tonumber(args[7]) then return 'next' end
    new = other
  end
  redis.call('HSET', key, id, cjson.encode({ digest = new, before = given, at_ms = tonumber(now), until_ms = tonumber(till) }))
  if redis.call('PTTL', key) < till - now then redis.call('PEXPIREAT', key, till) end
  return new == follows and 'next' or 'other'
end)
