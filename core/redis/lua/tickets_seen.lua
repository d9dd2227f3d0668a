-- tickets_seen: signs of life of those who wait for these tickets (an open stream, a read).
-- KEYS[1] base of the game
-- ARGV    now_ms, ticket id...
-- Returns how many are still in the queue
-- Keeps   only a waiting ticket is in `alive`; its mark never goes back.
register('tickets_seen', function(keys, args)
  local found = 0
  for i = 2, #args do
    if redis.call('ZSCORE', keys[1] .. ':alive', args[i]) then
      redis.call('ZADD', keys[1] .. ':alive', 'GT', args[1], args[i])
      found = found + 1
    end
  end
  return found
end)
