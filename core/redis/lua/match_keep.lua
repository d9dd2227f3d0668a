-- match_keep: a match's sidecar keeps what its game told it, for its next life.
-- KEYS[1] base of the game
-- ARGV    match id, server id, what to keep (JSON)
-- Returns {'ok', state} | {'over', state} | {'gone', ''} | {'foreign', state}
-- Keeps   only the match's own server writes, and only while it is live; it goes with the match's end.
register('match_keep', function(keys, args)
  local key = match_key(keys[1], args[1])
  local state, owner = unpack(redis.call('HMGET', key, 'state', 'server'))
  if not state then return { 'gone', '' } end
  if owner ~= args[2] then return { 'foreign', state } end
  if not MATCH[state] then return { 'over', state } end
  redis.call('HSET', key, 'kept', args[3])
  return { 'ok', state }
end)
