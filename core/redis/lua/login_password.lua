-- login_password: change the password of a user name.
-- KEYS[1] key of the folded name
-- ARGV    player id, hash of the password that was given as the old one, the new hash
-- Returns 'ok' | 'changed' where the password is another one by now | 'gone' where the name is not this player's
-- Keeps   of two changes at once one is made; a repeat of the same call changes nothing.
register('login_password', function(keys, args)
  local stored = redis.call('HMGET', keys[1], 'player', 'hash')
  if stored[1] ~= args[1] then return 'gone' end
  if stored[2] == args[3] then return 'ok' end
  if stored[2] ~= args[2] then return 'changed' end
  redis.call('HSET', keys[1], 'hash', args[3])
  return 'ok'
end)
