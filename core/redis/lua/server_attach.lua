-- server_attach: a server process takes its match, before it does anything for it.
-- KEYS[1] base of the game
-- ARGV    match id, server id (of this process), now_ms, where it runs (JSON)
-- Returns {'ok', state, match document} | {'gone', ''} | {'over', state} | {'foreign', state} where another server has it
--         | {'early', state} while its players are asked
-- Keeps   a match has one server for ever, however often one is started for it.
register('server_attach', function(keys, args)
  local key = match_key(keys[1], args[1])
  local state, doc, owner, standby = unpack(redis.call('HMGET', key, 'state', 'doc', 'server', 'standby'))
  if not state then return { 'gone', '' } end
  if not MATCH[state] then return { 'over', state } end
  if MATCH[state].agree then return { 'early', state } end
  -- A server that was there before the match has it, and nobody who was started for it.
  if standby then owner = redis.call('HGET', standby_key(keys[1], standby), 'server') or '' end
  if owner and owner ~= args[2] then return { 'foreign', state } end
  redis.call('HSET', key, 'server', args[2], 'server_state', 'Scheduled', 'attached_ms', args[3], 'host', args[4])
  return { 'ok', state, doc }
end)
