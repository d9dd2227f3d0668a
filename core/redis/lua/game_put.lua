-- game_put: the next version of a game, which new matches get from now on. Matches that were claimed keep theirs.
-- KEYS[1] base of the game
-- ARGV    version that is current (0: none yet), the new registration (JSON of core.model.Game), versions kept, now_ms,
--         what becomes of a canary: '' (there must be none) or why it ends
-- Returns {'ok', 0} | {'stale', version that is current} | {'canary', its version} where one is tried
-- Keeps   each version is written once, numbers grow by one and are never given twice; a repeat of the same call is
--         recognised; the current version and the last ones are kept, with their outcomes.
register('game_put', function(keys, args)
  local base, doc, most, now = keys[1], args[2], tonumber(args[3]), args[4]
  local found = redis.call('GET', base .. ':game')
  if found == doc then return { 'ok', 0 } end
  local current = found and cjson.decode(found).version or 0
  if current ~= tonumber(args[1]) then return { 'stale', current } end
  local tried = redis.call('HGET', base .. ':canary', 'version')
  if tried and args[5] == '' then return { 'canary', tonumber(tried) } end
  local number = cjson.decode(doc).version
  if number ~= newest_version(base, current) + 1 then return { 'stale', current } end
  if tried then canary_over(base, tried, 'aborted', args[5], now) end
  if found then redis.call('HSETNX', base .. ':versions', version_name(current), found) end
  redis.call('SET', base .. ':game', doc)
  version_keep(base, number, doc, number, most)
  return { 'ok', 0 }
end)
