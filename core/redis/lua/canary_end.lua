-- canary_end: the candidate becomes the current version, or is tried no more.
-- KEYS[1] base of the game
-- ARGV    its version, how (promoted | aborted | stopped), why, now_ms; from a matchmaker also: fencing token
-- Returns {'ok', how it ended, by this call or before} | {'none', 0} where that version is not tried | error FENCED
-- Keeps   in one step there is no candidate any more and, where it was promoted, it is what new matches get.
register('canary_end', function(keys, args)
  local base, version, how, now = keys[1], args[1], args[2], args[4]
  if args[5] and fenced(base, args[5]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local tried, doc = unpack(redis.call('HMGET', base .. ':canary', 'version', 'doc'))
  if tried ~= version then
    local over = redis.call('HGET', base .. ':versions', 'over')
    local last = over and cjson.decode(over)
    if last and version_name(last.version) == version then return { 'ok', last.how } end
    return { 'none', 0 }
  end
  if how == 'promoted' then redis.call('SET', base .. ':game', doc) end
  canary_over(base, version, how, args[3], now)
  return { 'ok', how }
end)
