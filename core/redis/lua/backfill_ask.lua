-- backfill_ask: a running match asks for players, or asks no more.
-- KEYS[1] base of the game
-- ARGV    match id, server id ('' from the control plane), request id ('' asks no more), now_ms
--         from a server also: the number of the roster that it knows, players who left by their own will (JSON list)
-- Returns {'ok', request id} | {'over', state} where the match is not RUNNING | {'gone', ''}
--         | {'foreign', state} where another server has it
-- Keeps   a match has one active request at most, the newest; a repeat of the newest changes nothing, not even where it
--         is used up by now; `asking` holds exactly the matches with an active one.
register('backfill_ask', function(keys, args)
  local base, id, server, request = keys[1], args[1], args[2], args[3]
  local key = match_key(base, id)
  local state, owner, newest, roster = unpack(redis.call('HMGET', key, 'state', 'server', 'backfill', 'roster'))
  if not state then return { 'gone', '' } end
  if server ~= '' and owner ~= server then return { 'foreign', state } end
  if state ~= 'RUNNING' then return { 'over', state } end
  if request == '' then
    backfill_over(base, id)
  elseif newest ~= request then
    if args[6] and args[5] == (roster or '0') then redis.call('HSET', key, 'left', args[6]) end
    redis.call('HSET', key, 'backfill', request, 'backfill_ms', args[4])
    redis.call('SADD', base .. ':asking', id)
    changed(base, id, 'b')
    redis.call('HINCRBY', base .. ':stats', 'backfills_asked', 1)
  end
  return { 'ok', request }
end)
