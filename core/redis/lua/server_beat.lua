-- server_beat: a server tells that it lives, and hears whether its match does.
-- KEYS[1] base of the game
-- ARGV    match id, server id, now_ms, look-at ms (0 leaves it: the start timer runs on), server state,
--         figures (JSON for the page), players who left by their own will (JSON list), number of the roster it knows
-- Returns {'ok', state, number of the roster, 'inbox' where commands from outside wait for it (inbox_take)} | {'over', state} | {'gone', ''} | {'foreign', state}; on anything but ok the server ends itself
-- Keeps   a server whose attach Redis lost in a fail-over has its match again, as long as no other took it;
--         only the match's own server moves its look-at time, and only while it is live. Who left is told of a roster:
--         one that knows an older one tells of seats that are others' now, and is not listened to.
register('server_beat', function(keys, args)
  local base, id = keys[1], args[1]
  local key = match_key(base, id)
  local state, owner, roster = unpack(redis.call('HMGET', key, 'state', 'server', 'roster'))
  roster = roster or '0'
  if not state then return { 'gone', '' } end
  if owner and owner ~= args[2] then return { 'foreign', state } end
  if not MATCH[state] then return { 'over', state } end
  if not owner then
    if MATCH[state].agree then return { 'foreign', state } end
    redis.call('HSET', key, 'server', args[2], 'attached_ms', args[3])
  end
  redis.call('HSET', key, 'beat_ms', args[3], 'server_state', args[5], 'figures', args[6])
  if (args[8] or '0') == roster then redis.call('HSET', key, 'left', args[7]) end
  if args[4] ~= '0' then redis.call('ZADD', base .. ':live', 'XX', args[4], id) end
  if redis.call('XLEN', inbox_key(base, id)) > 0 then return { 'ok', state, roster, 'inbox' } end
  return { 'ok', state, roster }
end)
