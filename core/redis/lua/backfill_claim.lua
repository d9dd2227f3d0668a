-- backfill_claim: seat all tickets of a proposal in a running match, or none.
-- KEYS[1] base of the game
-- ARGV    fencing token, now_ms, match id, request id, digest (SHA-1 of the match document and the list of who left, by
--         which the proposal was made), match document with the new seats and without those who left, ticket id...
-- Returns {'ok'} | {'taken', ticket id...} the ones that are not waiting any more | {'stale', state} where the request is
--         not the active one, or who is there has changed: read it again (backfill_requests) | {'gone', ''} | error FENCED
-- Keeps   a ticket is in at most one live match; a request seats one proposal; the seats in the document are those of
--         who is there; only the holder of the lease claims; a repeat of the same call changes nothing.
register('backfill_claim', function(keys, args)
  local base, now, id, request = keys[1], args[2], args[3], args[4]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local key = match_key(base, id)
  local state, doc, left, active, since, filled = unpack(
    redis.call('HMGET', key, 'state', 'doc', 'left', 'backfill', 'backfill_ms', 'backfilled'))
  if not state then return { 'gone', '' } end
  if filled == request then
    for i = 7, #args do
      if redis.call('HGET', ticket_key(base, args[i]), 'match') ~= id then return { 'stale', state } end
    end
    return { 'ok' }
  end
  if state ~= 'RUNNING' or active ~= request or not since then return { 'stale', state } end
  if redis.sha1hex(doc .. (left or '')) ~= args[5] then return { 'stale', state } end
  local taken = { 'taken' }
  for i = 7, #args do
    local waits = redis.call('HGET', ticket_key(base, args[i]), 'state')
    if not (waits and TICKET[waits] and TICKET[waits].backfilled) then
      taken[#taken + 1] = args[i]
      redis.call('ZREM', base .. ':queue', args[i])
    end
  end
  if #taken > 1 then return taken end
  for i = 7, #args do ticket_step(base, args[i], 'backfilled', now, '', id) end
  seats_known(base, id, cjson.decode(doc).players, true)
  seats_known(base, id, cjson.decode(args[6]).players, false)
  -- Whoever left has no seat any more, so nobody in the document has left.
  redis.call('HSET', key, 'doc', args[6], 'left', '[]', 'backfilled', request)
  redis.call('HINCRBY', key, 'roster', 1)
  backfill_over(base, id)
  redis.call('HINCRBY', base .. ':stats', 'backfills_filled', 1)
  return { 'ok' }
end)
