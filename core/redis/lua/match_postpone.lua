-- match_postpone: somebody looked at a live match and there is nothing to do before `look-at`.
-- KEYS[1] base of the game
-- ARGV    fencing token, match id, look-at ms
-- Returns 1 where it is live, else 0 | error FENCED
-- Keeps   a live match always has a time at which it is looked at.
register('match_postpone', function(keys, args)
  if fenced(keys[1], args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  return redis.call('ZADD', keys[1] .. ':live', 'XX', 'CH', args[3], args[2])
end)
