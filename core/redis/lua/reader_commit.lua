-- reader_commit: a reader has read a shard's log up to and including an entry.
-- KEYS[1] base of the shard
-- ARGV    name of the reader, id of the entry (that of its cursor only says that it is there)
-- Returns {'ok', batches that were trimmed before it read them} | {'gone', 0} for one that is not registered (any more)
-- Keeps   a cursor never goes back.
register('reader_commit', function(keys, args)
  local reader = reader_of(keys[1], args[1])
  if not reader then return { 'gone', 0 } end
  if entry_before(reader.at, args[2]) then reader.at = args[2] end
  reader_put(keys[1], args[1], reader)
  return { 'ok', reader.lost }
end)
