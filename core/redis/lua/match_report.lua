-- match_report: a server tells how its match's players did; what it told before is replaced.
-- KEYS[1] base of the game
-- ARGV    match id, server id, report (JSON of core.report.Report)
-- Returns {'ok', state} | {'early', state} before Ready | {'over', state} | {'gone', ''} | {'foreign', state}
-- Keeps   only the match's own server reports, and only while it is played.
register('match_report', function(keys, args)
  local key = match_key(keys[1], args[1])
  local state, owner = unpack(redis.call('HMGET', key, 'state', 'server'))
  if not state then return { 'gone', '' } end
  if owner ~= args[2] then return { 'foreign', state } end
  if not MATCH[state] then return { 'over', state } end
  if not MATCH[state].finish then return { 'early', state } end
  redis.call('HSET', key, 'report', args[3])
  return { 'ok', state }
end)
