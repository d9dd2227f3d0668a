-- lease_drop: give a lease back at a clean stop, so that the next owner need not wait for its end.
-- KEYS[1] base of the game
-- ARGV    owner
-- Returns 1 where it was ours, else 0
-- Keeps   the token stays, so the next owner's is higher.
register('lease_drop', function(keys, args)
  local key = keys[1] .. ':lease'
  if redis.call('HGET', key, 'owner') ~= args[1] then return 0 end
  redis.call('HSET', key, 'until_ms', 0)
  return 1
end)
