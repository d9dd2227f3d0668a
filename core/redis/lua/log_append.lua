-- log_append: append one packed batch of interactions to the log.
-- KEYS[1] base of the match's shard
-- ARGV    match id, number of the batch (1, 2, ...), interactions in it, payload, most batches kept; optionally the
--         number of the batch before it, which must be there
-- Returns {'ok' | 'repeat', number of the last batch} | {'gap', number of the last batch} where the one before is missing;
--         after 'ok', where a reader came off badly: batches trimmed that a reader had not read, names of readers that
--         were dropped because they were silent, ...
-- Keeps   a batch is in the log once, however often it is sent; what a reader has not read is trimmed at the hard bound only.
register('log_append', function(keys, args)
  local mark = keys[1] .. ':batch:' .. args[1]
  local last = tonumber(redis.call('GET', mark) or 0)
  if tonumber(args[2]) <= last then return { 'repeat', last } end
  if args[6] and tonumber(args[6]) > last then return { 'gap', last } end
  redis.call('XADD', keys[1] .. ':log', '*', 'match', args[1], 'batch', args[2], 'count', args[3], 'data', args[4])
  redis.call('SET', mark, args[2], 'EX', PLAYED_KEPT_S)
  local lost, dropped = log_trim(keys[1], tonumber(args[5]))
  if lost == 0 and #dropped == 0 then return { 'ok', tonumber(args[2]) } end
  return { 'ok', tonumber(args[2]), lost, unpack(dropped) }
end)
