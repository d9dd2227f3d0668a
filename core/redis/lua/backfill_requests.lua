-- backfill_requests: what these matches ask for, and who is there.
-- KEYS[1] base of the game
-- ARGV    match id...
-- Returns for each {match id, request id, since_ms, match document, left (JSON list or ''), ticket id, ticket document, ...}
--         with every ticket of the document that is still kept, or {match id} alone for one that asks for nobody
-- Keeps   document, list and request are of one moment, so that a claim can name what it was made by.
register('backfill_requests', function(keys, args)
  local base, found = keys[1], {}
  for i, id in ipairs(args) do
    local state, request, since, doc, left = unpack(
      redis.call('HMGET', match_key(base, id), 'state', 'backfill', 'backfill_ms', 'doc', 'left'))
    local row = { id }
    if state == 'RUNNING' and since then
      row = { id, request, since, doc, left or '' }
      local seen = {}
      for _, player in ipairs(cjson.decode(doc).players) do
        local ticket = player.ticket
        local text = not seen[ticket] and redis.call('HGET', ticket_key(base, ticket), 'doc')
        seen[ticket] = true
        if text then row[#row + 1], row[#row + 2] = ticket, text end
      end
    end
    found[i] = row
  end
  return found
end)
