-- doc_put: write a JSON document that carries its `version`, if nobody else has meanwhile.
-- KEYS[1] key of the document
-- ARGV    version that is expected there (0: none yet), the new document, time to live in s (0: for ever)
-- Returns {'ok', 0} | {'stale', version found}
-- Keeps   each version is written once; a repeat of the same call is recognised.
register('doc_put', function(keys, args)
  local found = redis.call('GET', keys[1])
  if found == args[2] then return { 'ok', 0 } end
  local version = found and cjson.decode(found).version or 0
  if version ~= tonumber(args[1]) then return { 'stale', version } end
  redis.call('SET', keys[1], args[2])
  if args[3] ~= '0' then redis.call('EXPIRE', keys[1], args[3]) end
  return { 'ok', 0 }
end)
