-- ticket_create: put a new ticket into its queue.
-- KEYS[1] base of the game
-- ARGV    ticket id, now_ms, most tickets in the queue, doc (JSON list of players), player id...
-- Returns {'ok', 0} | {'open', player, ticket id} where a player already waits | {'full', length}
--         | {'closed', 0} where the game is not registered or takes no tickets
-- Keeps   a player has at most one open ticket in a game; a repeat of the same call changes nothing.
local GAMES_KNOWN = 1000
local read, accepting, known = {}, {}, 0 -- by base: a registration as it was last read, and whether it takes tickets

-- Reading one anew for every ticket would cost more than all else here: they hold whole rule sets.
local function takes_tickets(base)
  local game = redis.call('GET', base .. ':game')
  if not game then return false end
  if read[base] ~= game then
    if known >= GAMES_KNOWN then read, accepting, known = {}, {}, 0 end
    if not read[base] then known = known + 1 end
    read[base], accepting[base] = game, cjson.decode(game).spec.accepting ~= false
  end
  return accepting[base]
end

register('ticket_create', function(keys, args)
  local base, id, now, most, doc = keys[1], args[1], args[2], tonumber(args[3]), args[4]
  local key = ticket_key(base, id)
  if redis.call('EXISTS', key) == 1 then return { 'ok', 0 } end
  if not takes_tickets(base) then return { 'closed', 0 } end
  for i = 5, #args do
    local open = redis.call('HGET', base .. ':open', args[i])
    if open then
      if redis.call('EXISTS', ticket_key(base, open)) == 1 then return { 'open', args[i], open } end
      redis.call('HDEL', base .. ':open', args[i])
    end
  end
  local length = redis.call('ZCARD', base .. ':queue')
  if length >= most then return { 'full', length } end
  local entry = cjson.encode({ seq = 1, at_ms = tonumber(now), status = 'QUEUED', event = 'created', reason = '', match = '' })
  redis.call('HSET', key, 'state', 'QUEUED', 'doc', doc, 'since_ms', now, 'reason', '', 'match', '',
             'tries', 0, 'seq', 1, 'e1', entry)
  redis.call('ZADD', base .. ':queue', now, id)
  redis.call('ZADD', base .. ':alive', now, id)
  for i = 5, #args do redis.call('HSET', base .. ':open', args[i], id) end
  changed(base, id)
  redis.call('HINCRBY', base .. ':stats', 'tickets_created', 1)
  return { 'ok', 0 }
end)
