-- items_open: make a player known to the items of a game, and tell what the player has.
-- KEYS[1] base of the game's items
-- ARGV    player
-- Returns item, quantity, ...
-- Keeps   items go to known players only, so none is sent to a name that nobody has.
register('items_open', function(keys, args)
  redis.call('SADD', keys[1] .. ':players', args[1])
  return redis.call('HGETALL', keys[1] .. ':inv:' .. args[1])
end)
