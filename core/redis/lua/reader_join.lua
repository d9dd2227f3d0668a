-- reader_join: register a reader of one shard's log; what it has not read is kept for it.
-- KEYS[1] base of the shard
-- ARGV    name of the reader, where one that is new begins: 'oldest' | 'newest'
-- Returns {cursor, batches that were trimmed before it read them} | {'full', 0} where there are too many others
-- Keeps   a reader that is registered goes on where it was; joining twice is joining once.
register('reader_join', function(keys, args)
  local reader = reader_of(keys[1], args[1])
  if not reader then
    if not reader_room(keys[1]) then return { 'full', 0 } end
    local last = args[2] == 'newest' and redis.call('XREVRANGE', keys[1] .. ':log', '+', '-', 'COUNT', 1)[1]
    reader = { at = last and last[1] or '0-0', lost = 0 }
  end
  reader_put(keys[1], args[1], reader)
  return { reader.at, reader.lost }
end)
