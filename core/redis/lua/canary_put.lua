-- canary_put: try a candidate on a share of new matches, or change the share of the one that is tried.
-- KEYS[1] base of the game
-- ARGV    version that is current, the candidate (JSON of core.model.Game; '' for the one that is tried), percent of new
--         matches, versions kept, now_ms
-- Returns {'ok', its version} | {'stale', version that is current} | {'canary', version} where another is tried
--         | {'none', 0} where none is tried
-- Keeps   one candidate at a time, a version of its own number; a repeat of the same call changes nothing. What came of the
--         current version's matches until now is kept beside it, so that both are compared from the same moment on.
register('canary_put', function(keys, args)
  local base, doc, percent = keys[1], args[2], args[3]
  local key, current = base .. ':canary', 0
  local found = redis.call('GET', base .. ':game')
  if found then current = cjson.decode(found).version end
  if current ~= tonumber(args[1]) then return { 'stale', current } end
  local tried, tried_doc = unpack(redis.call('HMGET', key, 'version', 'doc'))
  if doc == '' and not tried then return { 'none', 0 } end
  if doc ~= '' and tried and tried_doc ~= doc then return { 'canary', tonumber(tried) } end
  if tried then
    redis.call('HSET', key, 'percent', percent)
    return { 'ok', tonumber(tried) }
  end
  local number = cjson.decode(doc).version
  if number ~= newest_version(base, current) + 1 then return { 'stale', current } end
  local of_current, before = version_name(current) .. ':', {}
  local outcomes = redis.call('HGETALL', base .. ':outcomes')
  for i = 1, #outcomes, 2 do
    if string.sub(outcomes[i], 1, #of_current) == of_current then before[outcomes[i]] = outcomes[i + 1] end
  end
  redis.call('HSETNX', base .. ':versions', version_name(current), found)
  redis.call('HSET', key, 'version', version_name(number), 'doc', doc, 'percent', percent, 'since_ms', args[5],
             'before', next(before) and cjson.encode(before) or '{}')
  version_keep(base, number, doc, current, tonumber(args[4]))
  return { 'ok', number }
end)
