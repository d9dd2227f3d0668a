-- facts_append: append facts to a log that is no game's, in the order of their writer.
-- KEYS[1] base of the log
-- ARGV    writer, number of the call (1, 2, ...), most facts kept, s for which they are kept, then key and JSON of each
-- Returns {'ok' | 'repeat', number of the last call}
-- Keeps   a fact is in the log once, however often the call is sent; what a reader has not read is trimmed at the hard
--         bound, and when it is too old.
register('facts_append', function(keys, args)
  local base, mark = keys[1], keys[1] .. ':batch:' .. args[1]
  local last = tonumber(redis.call('GET', mark) or 0)
  if tonumber(args[2]) <= last then return { 'repeat', last } end
  for i = 5, #args, 2 do
    redis.call('XADD', base .. ':log', '*', 'match', args[i], 'data', args[i + 1])
  end
  redis.call('SET', mark, args[2], 'EX', OVER_KEPT_S)
  log_trim(base, tonumber(args[3]))
  redis.call('XTRIM', base .. ':log', 'MINID', '~', string.format('%.0f', clock() - 1000 * args[4]))
  return { 'ok', tonumber(args[2]) }
end)
