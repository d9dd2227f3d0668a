-- queue_changes: what changed in the queue since somebody last asked; the whole of it where that cannot be told.
-- KEYS[1] base of the game
-- ARGV    the place that the last answer gave ('' for a first time), most changes to read, most ids of a whole queue
-- Returns {'some' | 'more' where there are further ones, place, ticket id, since_ms, state, doc, trace, ...} with ''
--         for all four of a ticket that does not wait, and match id, '', 'BACKFILL', '', '' of a match whose request for players changed
--         (backfill_requests), or {'all', place, ticket id, ...} the ids of the waiting tickets, longest wait first: read them (tickets_waiting)
-- Keeps   nothing between two places is missed: a place that is not in the stream any more (trimmed, or lost when Redis
--         failed over) gives the whole. Changes hold ids only, so one that is read late, or twice, tells what is true now.
register('queue_changes', function(keys, args)
  local base, place = keys[1], args[1]
  local stream = base .. ':changes'
  if place == '' or #redis.call('XRANGE', stream, place, place) == 0 then
    -- A mark of our own, so that there is a place to go on from.
    place = redis.call('XADD', stream, 'MAXLEN', '~', CHANGES_KEPT, '*', 't', '')
    local ids = redis.call('ZRANGE', base .. ':queue', 0, tonumber(args[3]) - 1)
    local whole = { 'all', place }
    for i = 1, #ids do whole[i + 2] = ids[i] end
    return whole
  end
  local found, seen = { 'some', place }, {}
  local entries = redis.call('XRANGE', stream, '(' .. place, '+', 'COUNT', args[2])
  if #entries == tonumber(args[2]) then found[1] = 'more' end
  for _, entry in ipairs(entries) do
    found[2] = entry[1]
    local id = entry[2][2]
    if id ~= '' and not seen[id] then
      seen[id] = true
      if entry[2][1] == 'b' then
        local n = #found
        found[n + 1], found[n + 2], found[n + 3], found[n + 4], found[n + 5] = id, '', 'BACKFILL', '', ''
      else
        waiting_ticket(base, id, found)
      end
    end
  end
  return found
end)
