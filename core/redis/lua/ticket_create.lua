-- ticket_create: put a new ticket into its queue.
-- KEYS[1] base of the game
-- ARGV    ticket id, now_ms, most tickets in the queue, doc (JSON list of players),
--         trace id that the client brought ('' for none), player id...
-- Returns {'ok', 0} | {'open', player, ticket id} where a player already waits | {'full', length}
--         | {'cancels', player, ms} where a player turned down too many matches, and for how long that counts
--         | {'closed', 0} where the game is not registered or takes no tickets
-- Keeps   a player has at most one open ticket in a game; a repeat of the same call changes nothing.
local GAMES_KNOWN = 1000
local read, known = {}, 0 -- by base: a registration as it was last read, and what is needed of it

-- {accepting, cancels}. Reading one anew for every ticket would cost more than all else here: they hold whole rule sets.
local function registration(base)
  local game = redis.call('GET', base .. ':game')
  if not game then return nil end
  local entry = read[base]
  if not entry or entry.game ~= game then
    if known >= GAMES_KNOWN then read, known = {}, 0 end
    if not read[base] then known = known + 1 end
    local spec = cjson.decode(game).spec
    entry = { game = game, accepting = spec.accepting ~= false, cancels = spec.limits and spec.limits.cancels or CANCELS }
    read[base] = entry
  end
  return entry
end

-- How long a player has to wait until fewer than `most` matches that he turned down count, ms.
local function cancels_wait(base, player, now, most)
  local key, since = base .. ':cancels:' .. player, '(' .. string.format('%.0f', now - CANCELS_MS)
  local nth = redis.call('ZRANGE', key, '+inf', since, 'BYSCORE', 'REV', 'LIMIT', most - 1, 1, 'WITHSCORES')
  return nth[2] and tonumber(nth[2]) + CANCELS_MS - now or 0
end

register('ticket_create', function(keys, args)
  local base, id, now, most, doc, trace = keys[1], args[1], args[2], tonumber(args[3]), args[4], args[5]
  local key = ticket_key(base, id)
  if redis.call('EXISTS', key) == 1 then return { 'ok', 0 } end
  local game = registration(base)
  if not game or not game.accepting then return { 'closed', 0 } end
  local cancels = game.cancels
  for i = 6, #args do
    local open = redis.call('HGET', base .. ':open', args[i])
    if open then
      if redis.call('EXISTS', ticket_key(base, open)) == 1 then return { 'open', args[i], open } end
      redis.call('HDEL', base .. ':open', args[i])
    end
    local wait_ms = cancels_wait(base, args[i], now, cancels)
    if wait_ms > 0 then return { 'cancels', args[i], wait_ms } end
  end
  local length = redis.call('ZCARD', base .. ':queue')
  if length >= most then return { 'full', length } end
  local entry = cjson.encode({ seq = 1, at_ms = tonumber(now), status = 'QUEUED', event = 'created', reason = '', match = '',
                               trace = trace ~= '' and trace or nil })
  redis.call('HSET', key, 'state', 'QUEUED', 'doc', doc, 'since_ms', now, 'reason', '', 'match', '',
             'tries', 0, 'seq', 1, 'e1', entry)
  if trace ~= '' then redis.call('HSET', key, 'trace', trace) end
  redis.call('ZADD', base .. ':queue', now, id)
  redis.call('ZADD', base .. ':alive', now, id)
  for i = 6, #args do redis.call('HSET', base .. ':open', args[i], id) end
  changed(base, id)
  tell_ticket(base, id, entry)
  redis.call('HINCRBY', base .. ':stats', 'tickets_created', 1)
  return { 'ok', 0 }
end)
