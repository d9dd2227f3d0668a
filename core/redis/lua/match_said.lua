-- match_said: the launcher saw the line by which a match's game says that it is ready.
-- KEYS[1] base of the game
-- ARGV    fencing token, match id, now_ms
-- Returns {'ok', state} | {'over', state} | {'gone', ''} | error FENCED
-- Keeps   the first time at which it was seen; a repeat changes nothing.
register('match_said', function(keys, args)
  if fenced(keys[1], args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local key = match_key(keys[1], args[2])
  local state = redis.call('HGET', key, 'state')
  if not state then return { 'gone', '' } end
  if not MATCH[state] then return { 'over', state } end
  redis.call('HSETNX', key, 'said_ms', args[3])
  return { 'ok', state }
end)
