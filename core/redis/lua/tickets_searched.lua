-- tickets_searched: a pass looked at these tickets and found no match yet; QUEUED ones become SEARCHING.
-- KEYS[1] base of the game
-- ARGV    fencing token, now_ms, ticket id...
-- Returns the ids that changed | error FENCED
-- Keeps   only the holder of the lease writes.
register('tickets_searched', function(keys, args)
  local base = keys[1]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local changed = {}
  for i = 3, #args do
    if ticket_step(base, args[i], 'searched', args[2]) then changed[#changed + 1] = args[i] end
  end
  return changed
end)
