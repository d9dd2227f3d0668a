-- tickets_waiting: these tickets, as far as they are in the queue.
-- KEYS[1] base of the game
-- ARGV    ticket id...
-- Returns {ticket id, since_ms, state, doc, trace, ...} with '' for all four of one that does not wait
-- Keeps   a queue entry whose ticket is gone is dropped.
register('tickets_waiting', function(keys, args)
  local found = {}
  for _, id in ipairs(args) do waiting_ticket(keys[1], id, found) end
  return found
end)
