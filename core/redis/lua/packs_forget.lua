-- packs_forget: a player's delayed commands are gone, and nothing is written of him for a while.
-- KEYS[1] base of the player's shard
-- ARGV    player, s for which he is refused
-- Returns packs that still waited
-- Keeps   a worker that has his work finds no token and is fenced off; a request that was under way finds `erased` and is
--         refused. Packs that waited count as skipped, so that none waits for ever. A repeat changes nothing else.
register('packs_forget', function(keys, args)
  local base, player = keys[1], args[1]
  local key = base .. ':commands:' .. player
  local accepted, done = unpack(redis.call('HMGET', key, 'accepted', 'done'))
  local waited = (tonumber(accepted) or 0) - (tonumber(done) or 0)
  redis.call('DEL', key, base .. ':packs:' .. player)
  redis.call('ZREM', base .. ':packs-due', player)
  redis.call('ZREM', base .. ':packs-since', player)
  if waited > 0 then redis.call('HINCRBY', base .. ':packs-stats', 'packs_skipped', waited) end
  redis.call('HSET', key, 'erased', 1)
  redis.call('EXPIRE', key, args[2])
  return waited
end)
