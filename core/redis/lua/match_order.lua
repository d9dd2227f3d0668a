-- match_order: make the match that an outside matchmaker wants, with one ticket for all its players, as a claim would.
-- KEYS[1] base of the game
-- ARGV    now_ms, most live matches, what the outside calls it, digest of what was ordered, match id, match document (JSON of
--         core.model.Match), ticket id, ticket's document (JSON list of players), player id...
-- Returns {'ok', match id} | {'known', match id} where it was made before | {'other', match id} where another was made under
--         that name | {'closed', ''} where the game takes no players | {'full', live matches}
--         | {'busy', player, ticket or match} where a player waits already, or plays
-- Keeps   one match for a name, as long as that is remembered; a player has one open ticket and no seat in another match;
--         a match exists with its ticket or not at all. A repeat of the same call changes nothing.
local ORDERS_KEPT_S = PLAYED_KEPT_S

-- The running match in which a player has a seat, and did not leave.
local function plays(base, player)
  local match = redis.call('HGET', base .. ':playing', player)
  if not match then return nil end
  local state, left = unpack(redis.call('HMGET', match_key(base, match), 'state', 'left'))
  if not state or not MATCH[state] then return nil end
  for _, gone in ipairs(left and cjson.decode(left) or {}) do if gone == player then return nil end end
  return match
end

register('match_order', function(keys, args)
  local base, now, name, digest, id, ticket = keys[1], args[1], args[3], args[4], args[5], args[7]
  local order = base .. ':order:' .. name
  local known = redis.call('GET', order)
  if known then
    local match, was = string.match(known, '^(%S+) (%S+)$')
    return { was == digest and 'known' or 'other', match }
  end
  local game = redis.call('GET', base .. ':game')
  if not game or cjson.decode(game).spec.accepting == false then return { 'closed', '' } end
  for i = 9, #args do
    local open = redis.call('HGET', base .. ':open', args[i])
    if open and redis.call('EXISTS', ticket_key(base, open)) == 1 then return { 'busy', args[i], open } end
    local match = plays(base, args[i])
    if match then return { 'busy', args[i], match } end
  end
  local live = redis.call('ZCARD', base .. ':live')
  if live >= tonumber(args[2]) then return { 'full', live } end
  local entry = cjson.encode({ seq = 1, at_ms = tonumber(now), status = 'QUEUED', event = 'created', reason = '', match = '' })
  redis.call('HSET', ticket_key(base, ticket), 'state', 'QUEUED', 'doc', args[8], 'since_ms', now, 'reason', '', 'match', '',
             'tries', 0, 'seq', 1, 'e1', entry)
  for i = 9, #args do redis.call('HSET', base .. ':open', args[i], ticket) end
  redis.call('HINCRBY', base .. ':stats', 'tickets_created', 1)
  ticket_step(base, ticket, 'claimed', now, '', id)
  match_place(base, id, args[6], now)
  -- Nobody who works the game knows of it yet, so it is looked at now.
  match_made(base, id, cjson.decode(args[6]), now, now, name)
  redis.call('SET', order, id .. ' ' .. digest, 'EX', ORDERS_KEPT_S)
  return { 'ok', id }
end)
