-- reader_leave: nothing is kept for a reader any more.
-- KEYS[1] base of the shard
-- ARGV    name of the reader
-- Returns 1, 0 for one that was not registered
-- Keeps   leaving twice is leaving once.
register('reader_leave', function(keys, args)
  return redis.call('HDEL', keys[1] .. ':readers', args[1])
end)
