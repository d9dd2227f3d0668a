-- erasing_claim: take over work on players who are to be erased.
-- KEYS[1] the players to be erased, by the ms at which somebody is to look
-- ARGV    now_ms, ms for which nobody else looks, most players
-- Returns players
-- Keeps   one worker at a time looks at a player; one that dies is followed by another after that time.
register('erasing_claim', function(keys, args)
  local due = redis.call('ZRANGE', keys[1], '-inf', args[1], 'BYSCORE', 'LIMIT', 0, args[3])
  for _, player in ipairs(due) do redis.call('ZADD', keys[1], args[1] + args[2], player) end
  return due
end)
