-- packs_return: give a player's work back undone: its handler cannot be asked now, or the worker stops.
-- KEYS[1] base of the player's shard
-- ARGV    player, token, ms until it is tried again, trouble ('' where nothing is wrong: it counts as no try)
-- Returns 1 where it was ours, else 0
-- Keeps   row and state; the token stays, so the next one's is higher.
register('packs_return', function(keys, args)
  local base, player = keys[1], args[1]
  local key = base .. ':commands:' .. player
  if redis.call('HGET', key, 'token') ~= args[2] then return 0 end
  if redis.call('HGET', key, 'owner') == '' then return 0 end
  redis.call('HSET', key, 'owner', '', 'until', 0, 'trouble', args[4])
  if args[4] ~= '' then redis.call('HINCRBY', key, 'tries', 1) end
  redis.call('ZADD', base .. ':packs-due', clock() + args[3], player)
  return 1
end)
