-- match_claim: take all tickets of a proposal, or none, and write the match. Where its document has an
--              acceptance_timeout_s, its players are asked first.
-- KEYS[1] base of the game
-- ARGV    fencing token, now_ms, look-at ms (when somebody must ask whether its players or its server are ready),
--         most live matches, match id, match document (JSON of core.model.Match), ticket id...
-- Returns {'ok'} | {'ok', standby, its state} where the match took a server that waits for one | {'taken', ticket id...} the ones that are not waiting any more | {'full', live matches}
--         | error FENCED
-- Keeps   a ticket is in at most one live match; a match exists with all its tickets or not at all;
--         only the holder of the lease claims; a repeat of the same call changes nothing. A server that waits for a match
--         is given to one only.
register('match_claim', function(keys, args)
  local base, now, id = keys[1], args[2], args[5]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local key = match_key(base, id)
  if redis.call('EXISTS', key) == 1 then
    local has = redis.call('HGET', key, 'standby')
    return has and { 'ok', has, '' } or { 'ok' }
  end
  local taken = { 'taken' }
  for i = 7, #args do
    local state = redis.call('HGET', ticket_key(base, args[i]), 'state')
    if not (state and TICKET[state] and TICKET[state].claimed) then
      taken[#taken + 1] = args[i]
      redis.call('ZREM', base .. ':queue', args[i])
    end
  end
  if #taken > 1 then return taken end
  local live = redis.call('ZCARD', base .. ':live')
  if live >= tonumber(args[4]) then return { 'full', live } end
  local standby, was = '', ''
  local document = cjson.decode(args[6])
  local asks = document.acceptance_timeout_s
  if type(asks) == 'number' then
    local till = tonumber(now) + math.floor(asks * 1000)
    local tickets, players = seats_of(args[6])
    redis.call('HSET', key, 'state', 'REQUIRES_ACCEPTANCE', 'doc', args[6], 'created_ms', now, 'reason', '',
               'accept_until_ms', till, 'accepted', 0)
    for _, seats in ipairs(tickets) do
      ticket_step(base, seats.ticket, 'proposed', now, '', id, asked_of(key, seats, 0, players, till))
    end
  else
    for i = 7, #args do ticket_step(base, args[i], 'claimed', now, '', id) end
    standby, was = match_place(base, id, args[6], now)
  end
  match_made(base, id, document, now, args[3])
  return standby ~= '' and { 'ok', standby, was } or { 'ok' }
end)
