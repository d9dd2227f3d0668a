-- ticket_accept: a player of a ticket accepts its match. With the last one the match is agreed, and its server may start.
-- KEYS[1] base of the game
-- ARGV    ticket id, player id, now_ms, the match that is meant ('' for whichever asks)
-- Returns {'ok', state of the ticket, ticket id...} the tickets that changed | {'repeat', state} accepted before
--         | {'illegal', state} where nobody asks this player (any more) | {'gone', ''}
-- Keeps   the match and ticket tables; a player counts once; until the match is given up an answer is in time.
register('ticket_accept', function(keys, args)
  local base, id, player, now = keys[1], args[1], args[2], args[3]
  local state, match = unpack(redis.call('HMGET', ticket_key(base, id), 'state', 'match'))
  if not state then return { 'gone', '' } end
  if args[4] ~= '' and args[4] ~= match then return { 'illegal', state } end
  local key, yes = match_key(base, match), 'y:' .. player
  local asking, doc, till = unpack(redis.call('HMGET', key, 'state', 'doc', 'accept_until_ms'))
  local before = redis.call('HEXISTS', key, yes) == 1
  if not (asking and MATCH[asking] and MATCH[asking].agree and TICKET[state] and TICKET[state].accepted) then
    if before and (state == 'PLACING' or state == 'COMPLETED') then return { 'repeat', state } end
    return { 'illegal', state }
  end
  local tickets, players = seats_of(doc)
  local seated = false
  for _, seats in ipairs(tickets) do
    for _, seat in ipairs(seats) do seated = seated or (seats.ticket == id and seat == player) end
  end
  if not seated then return { 'illegal', state } end
  if before then return { 'repeat', state } end
  redis.call('HSET', key, yes, now)
  local accepted = redis.call('HINCRBY', key, 'accepted', 1)
  local agreed = accepted == players
  if agreed then
    redis.call('HSET', key, 'state', MATCH[asking].agree, 'agree_ms', now)
    redis.call('ZADD', base .. ':live', 0, match) -- look at once, whatever the clocks
    redis.call('HINCRBY', base .. ':stats', 'matches_agree', 1)
  end
  local result = { 'ok', agreed and TICKET[state].agreed or state }
  for _, seats in ipairs(tickets) do
    local asked = not agreed and asked_of(key, seats, accepted, players, till) or nil
    ticket_step(base, seats.ticket, agreed and 'agreed' or 'accepted', now, '', match, asked)
    result[#result + 1] = seats.ticket
  end
  return result
end)
