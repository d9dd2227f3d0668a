-- login_erase: give a user name free.
-- KEYS[1] key of the folded name
-- ARGV    player id
-- Returns 1 where it was this player's | 0
-- Keeps   nobody's name goes but his.
register('login_erase', function(keys, args)
  if redis.call('HGET', keys[1], 'player') ~= args[1] then return 0 end
  return redis.call('DEL', keys[1])
end)
