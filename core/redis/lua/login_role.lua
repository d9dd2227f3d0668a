-- login_role: change the role of the account that a user name belongs to.
-- KEYS[1] key of the folded name
-- ARGV    player id, role
-- Returns {'ok', revision of the role} | {'gone'} where the name is not this player's | {'fixed', role} of an admin
-- Keeps   each change has a revision of its own, and what is written from here can be told from older;
--         a repeat of the same call changes nothing.
register('login_role', function(keys, args)
  local stored = redis.call('HMGET', keys[1], 'player', 'role', 'role_rev')
  if stored[1] ~= args[1] then return { 'gone' } end
  if stored[2] ~= 'player' and stored[2] ~= 'developer' then return { 'fixed', stored[2] } end
  local revision = tonumber(stored[3] or 0)
  if stored[2] ~= args[2] then
    revision = revision + 1
    redis.call('HSET', keys[1], 'role', args[2], 'role_rev', revision)
  end
  return { 'ok', revision }
end)
