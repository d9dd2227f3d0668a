-- login_claim: take a user name, with everything its account is made from.
-- KEYS[1] key of the folded name
-- ARGV    player id, password hash, name as shown, role, created_ms
-- Returns {'ok', player id} | {'taken', player id of the holder}
-- Keeps   a name has one player until that is erased; the name and the password come into being together. Its holder may
--         take it again with another password: a guest who got no answer.
register('login_claim', function(keys, args)
  local holder = redis.call('HGET', keys[1], 'player')
  if holder and holder ~= args[1] then return { 'taken', holder } end
  redis.call('HSET', keys[1], 'player', args[1], 'hash', args[2], 'name', args[3], 'created_ms', args[5])
  redis.call('HSETNX', keys[1], 'role', args[4])
  return { 'ok', args[1] }
end)
