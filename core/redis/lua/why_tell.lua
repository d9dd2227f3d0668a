-- why_tell: the matchmaker answers questions.
-- KEYS[1] base of the game
-- ARGV    fencing token, how long an answer is good for in ms, ticket id, answer (JSON of core.insight.WhyNot), ...
-- Returns how many were answered | error FENCED
-- Keeps   only the holder of the lease answers; no answer outlives that time.
register('why_tell', function(keys, args)
  local base = keys[1]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  for i = 3, #args, 2 do
    redis.call('SET', base .. ':why:' .. args[i], args[i + 1], 'PX', args[2])
    redis.call('ZREM', base .. ':asked', args[i])
  end
  return (#args - 2) / 2
end)
