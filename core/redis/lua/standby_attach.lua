-- standby_attach: a server process without a match takes its place, before it does anything.
-- KEYS[1] base of the game
-- ARGV    its id, server id (of this process), now_ms, where it runs (JSON)
-- Returns {'ok', state, document (of its match, once it has one), match ('' for none yet), ready_ms ('' where it never was)} | {'gone', ''} | {'over', state} | {'foreign', state} where
--         another process has the place
-- Keeps   one process has the place for ever, however often one is started for it.
register('standby_attach', function(keys, args)
  local key = standby_key(keys[1], args[1])
  local state, doc, owner, match, ready = unpack(
    redis.call('HMGET', key, 'state', 'doc', 'server', 'match', 'ready_ms'))
  if not state then return { 'gone', '' } end
  if owner and owner ~= args[2] then return { 'foreign', state } end
  if state == 'Shutdown' then return { 'over', state } end
  if match then doc = redis.call('HGET', match_key(keys[1], match), 'doc') end
  if not doc then return { 'gone', '' } end
  redis.call('HSET', key, 'server', args[2], 'attached_ms', args[3], 'beat_ms', args[3], 'host', args[4])
  return { 'ok', state, doc, match or '', ready or '' }
end)
