-- figures_tell: the matchmaker says how a queue goes.
-- KEYS[1] base of the game
-- ARGV    fencing token, how long it is good for in ms, JSON of core.insight.Figures
-- Returns 1 | error FENCED
-- Keeps   only the holder of the lease tells; what it told does not outlive that time.
register('figures_tell', function(keys, args)
  if fenced(keys[1], args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  redis.call('SET', keys[1] .. ':figures', args[3], 'PX', args[2])
  return 1
end)
