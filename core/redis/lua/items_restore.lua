-- items_restore: write a player's inventory as it was computed from the audit.
-- KEYS[1] base of the game's items
-- ARGV    last id of the audit it was computed up to ('' for an empty one), player, number of items, item, quantity, ...;
--         then ids of unique items that nobody has
-- Returns 'ok' | 'changed' where a move was made since: nothing is written, and it is to be computed anew
-- Keeps   a repair never undoes a move.
register('items_restore', function(keys, args)
  local base, player, n = keys[1], args[2], tonumber(args[3])
  local last = redis.call('XREVRANGE', base .. ':audit', '+', '-', 'COUNT', 1)[1]
  if (last and last[1] or '') ~= args[1] then return 'changed' end
  local key = base .. ':inv:' .. player
  redis.call('DEL', key)
  for i = 4, 2 + 2 * n, 2 do
    redis.call('HSET', key, args[i], args[i + 1])
    local id = string.match(args[i], '#(.*)')
    if id then redis.call('HSET', base .. ':owners', id, player) end
  end
  for i = 4 + 2 * n, #args do redis.call('HDEL', base .. ':owners', args[i]) end
  return 'ok'
end)
