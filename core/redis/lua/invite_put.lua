-- invite_put: a player is invited into a party.
-- KEYS[1] invitations of the player
-- ARGV    code of the party, JSON with `at_ms`, ms now, ms for which an invitation is good, most of them
-- Returns {'ok', 0} | {'full', how many there are}
-- Keeps   one invitation a party, the newest; those that are too old are gone.
register('invite_put', function(keys, args)
  local key, now, good = keys[1], tonumber(args[3]), tonumber(args[4])
  local found = redis.call('HGETALL', key)
  for i = 1, #found, 2 do
    if cjson.decode(found[i + 1]).at_ms + good <= now then redis.call('HDEL', key, found[i]) end
  end
  local count = redis.call('HLEN', key)
  if count >= tonumber(args[5]) and redis.call('HEXISTS', key, args[1]) == 0 then return { 'full', count } end
  redis.call('HSET', key, args[1], args[2])
  redis.call('PEXPIRE', key, good)
  return { 'ok', 0 }
end)
