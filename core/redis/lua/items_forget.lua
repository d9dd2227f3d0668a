-- items_forget: a player has no items any more, and can be given none.
-- KEYS[1] base of the game's items
-- ARGV    player
-- Returns kinds and unique items that he still had
-- Keeps   a unique item has an owner who is known. The audit stays as it is: of who is not among `players` nothing is made
--         from it (items_move, Inventories.rebuild).
register('items_forget', function(keys, args)
  local base, player = keys[1], args[1]
  local had = redis.call('HKEYS', base .. ':inv:' .. player)
  for _, item in ipairs(had) do
    local id = string.match(item, '#(.*)')
    if id and redis.call('HGET', base .. ':owners', id) == player then redis.call('HDEL', base .. ':owners', id) end
  end
  redis.call('DEL', base .. ':inv:' .. player, base .. ':kept:' .. player, base .. ':trail:' .. player)
  redis.call('SREM', base .. ':players', player)
  return #had
end)
