-- standby_end: a server ends that has no match: nobody needs it, it is lost, or it ends by itself.
-- KEYS[1] base of the game
-- ARGV    its id, server id ('' from the control plane), now_ms, reason, detail for the game's developer; from the
--         control plane also its fencing token
-- Returns {'ok', state} | {'allocated', match} where a match took it before | {'over', state} | {'gone', ''}
--         | {'foreign', state} | error FENCED
-- Keeps   the standby table: one that is a match's is never ended here, so who was told 'ok' may kill its process.
register('standby_end', function(keys, args)
  local base, id = keys[1], args[1]
  if args[6] and fenced(base, args[6]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local state, owner, match = unpack(redis.call('HMGET', standby_key(base, id), 'state', 'server', 'match'))
  if not state then
    redis.call('ZREM', base .. ':standbys', id)
    return { 'gone', '' }
  end
  if args[2] ~= '' and owner ~= args[2] then return { 'foreign', state } end
  if match then return { 'allocated', match } end
  if not STANDBY[state] then return { 'over', state } end
  standby_close(base, id, args[3], args[4], args[5])
  return { 'ok', 'Shutdown' }
end)
