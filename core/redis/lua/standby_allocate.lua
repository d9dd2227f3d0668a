-- standby_allocate: a match that has no server takes one that waits: its players have accepted, and nobody looked yet.
-- KEYS[1] base of the game
-- ARGV    fencing token, now_ms, match id
-- Returns {'ok', standby, its state} ('' and '' where none waits) | {'changed', state} where it is not placing, or has a
--         server | error FENCED
-- Keeps   a match has one server for ever, and a server one match; a repeat returns the server it has.
register('standby_allocate', function(keys, args)
  local base, id = keys[1], args[3]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local state, server, standby = unpack(redis.call('HMGET', match_key(base, id), 'state', 'server', 'standby'))
  if standby then return { 'ok', standby, '' } end
  if state ~= 'PLACING' or server then return { 'changed', state or '' } end
  return { 'ok', standby_take(base, id, args[2]) }
end)
