-- login_claim: take a user name, with everything its account is made from.
-- KEYS[1] key of the folded name
-- ARGV    player id, password hash, name as shown, role, now_ms
-- Returns {'ok', player id} | {'taken', player id of the holder}
-- Keeps   a name has one player for ever; the name and the password come into being together.
register('login_claim', function(keys, args)
  local holder = redis.call('HGET', keys[1], 'player')
  if holder then return { holder == args[1] and 'ok' or 'taken', holder } end
  redis.call('HSET', keys[1], 'player', args[1], 'hash', args[2], 'name', args[3], 'role', args[4], 'created_ms', args[5])
  return { 'ok', args[1] }
end)
