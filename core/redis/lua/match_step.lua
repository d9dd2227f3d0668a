-- match_step: move a match by one event, and all its tickets with it.
-- KEYS[1] base of the game
-- ARGV    match id, event (ready | fail | finish), now_ms, server id ('' from the control plane), reason,
--         what to keep (JSON: the connection for ready, the result for finish, else ''), look-at ms (for ready),
--         most tries of a ticket (for fail); from the control plane also, to judge nobody by facts that have passed:
--         fencing token, the state and the beat_ms ('' for none) by which it judges
-- Returns {'ok', state, ticket id...} | {'illegal', state} | {'gone', ''} | {'foreign', state} where another server has it
--         | {'changed', state} where the facts it was judged by are not the facts any more | error FENCED
-- Keeps   the match and ticket tables. ready: tickets COMPLETED. fail: tickets whose players did not leave by their own
--         will are QUEUED again with their wait, or FAILED after the last try; but where the match still asks, those whose
--         players did not all accept are CANCELLED, and the others SEARCHING. A finished or failed match is not live.
--         Whoever keeps ratings finds every finished match that moves some among the unrated ones.
local function requeue(base, id, now, reason, match, most)
  local key = ticket_key(base, id)
  local state, doc, tries = unpack(redis.call('HMGET', key, 'state', 'doc', 'tries'))
  if not state then return false end
  if state == 'COMPLETED' then
    for _, player in ipairs(cjson.decode(doc)) do
      local open = redis.call('HGET', base .. ':open', player.id)
      if open and open ~= id then return ticket_step(base, id, 'gave_up', now, 'superseded', match) end
    end
  end
  if not TICKET[state] or not TICKET[state].requeued then return false end
  if redis.call('HINCRBY', key, 'tries', 1) >= most then return ticket_step(base, id, 'gave_up', now, reason, match) end
  return ticket_step(base, id, 'requeued', now, reason, match)
end

-- Players who left by their own will, as the server last told; their tickets are not put back.
local function left_of(told)
  local left = {}
  if told then for _, player in ipairs(cjson.decode(told)) do left[player] = true end end
  return left
end

register('match_step', function(keys, args)
  local base, id, event, now, server, reason = keys[1], args[1], args[2], args[3], args[4], args[5]
  if args[9] and fenced(base, args[9]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local key = match_key(base, id)
  local state, doc, owner, beat, told = unpack(redis.call('HMGET', key, 'state', 'doc', 'server', 'beat_ms', 'left'))
  if not state then
    redis.call('ZREM', base .. ':live', id)
    return { 'gone', '' }
  end
  if server ~= '' and owner ~= server then return { 'foreign', state } end
  local after = MATCH[state] and MATCH[state][event]
  if not after then return { 'illegal', state } end
  if args[10] and (state ~= args[10] or (beat or '') ~= args[11]) then return { 'changed', state } end
  if state == 'REQUIRES_ACCEPTANCE' then return { 'ok', after, unpack(match_refused(base, id, now, reason)) } end
  redis.call('HSET', key, 'state', after, 'reason', reason, event .. '_ms', now)
  local left, result, done, document = left_of(told), { 'ok', after }, {}, cjson.decode(doc)
  outcome(base, document.game_version, event == 'ready' and event or event .. ':' .. reason)
  if event == 'ready' then
    redis.call('HSET', key, 'connection', args[6], 'beat_ms', now)
    redis.call('ZADD', base .. ':live', args[7], id)
    seats_known(base, id, document.players, false)
  else
    if args[6] ~= '' then redis.call('HSET', key, 'result', args[6]) end
    match_close(base, id)
    seats_known(base, id, document.players, true)
    if event == 'finish' and type(document.rating_mode) == 'string' then redis.call('ZADD', base .. ':unrated', now, id) end
  end
  local staying = {}
  local players = event == 'finish' and {} or document.players -- whose tickets are COMPLETED, and stay so
  for _, player in ipairs(players) do if not left[player.id] then staying[player.ticket] = true end end
  for _, player in ipairs(players) do
    local ticket = player.ticket
    if not done[ticket] then
      done[ticket] = true
      local moved = false
      if event == 'ready' then moved = ticket_step(base, ticket, 'placed', now, '', id)
      elseif event == 'fail' and staying[ticket] then moved = requeue(base, ticket, now, reason, id, tonumber(args[8])) end
      if moved then result[#result + 1] = ticket end
    end
  end
  redis.call('HINCRBY', base .. ':stats', 'matches_' .. event, 1)
  local trace = document.trace
  if event == 'ready' then fact(base, id, 'session_created', now, { server = server, trace = trace })
  elseif state == 'RUNNING' then fact(base, id, 'session_removed', now, { outcome = after, reason = reason, trace = trace })
  else fact(base, id, 'match_failed', now, { reason = reason, trace = trace }) end
  return result
end)
