-- standby_beat: a server without a match tells that it lives, or that it is ready, and hears whether it has a match by now.
-- KEYS[1] base of the game
-- ARGV    its id, server id, now_ms, event (ready, or '' for a beat)
-- Returns {'ok', state, match ('' for none yet)} | {'over', state} | {'gone', ''} | {'foreign', state}; on anything but ok
--         the server ends itself
-- Keeps   the standby table; a repeat of ready changes nothing, and to one that a match took meanwhile it comes too late.
register('standby_beat', function(keys, args)
  local base, id = keys[1], args[1]
  local key = standby_key(base, id)
  local state, owner, match = unpack(redis.call('HMGET', key, 'state', 'server', 'match'))
  if not state then return { 'gone', '' } end
  if owner ~= args[2] then return { 'foreign', state } end
  if state == 'Shutdown' then return { 'over', state } end
  redis.call('HSET', key, 'beat_ms', args[3])
  local after = STANDBY[state] and STANDBY[state][args[4]]
  if after then
    redis.call('HSET', key, 'state', after, 'ready_ms', args[3])
    redis.call('ZADD', base .. ':standbys', 'XX', args[3], id)
    state = after
  end
  return { 'ok', state, match or '' }
end)
