-- analytics_begin: say where events are counted from, and since when.
-- KEYS[1] base of what is counted of the installation
-- ARGV    the source (redis | kafka), ms that who reads another one is given to hear of it
-- Returns {number of the epoch, since when it counts, ms of Redis' clock}
-- Keeps   events are counted from one source at a time: what was counted from the one before is not counted again. An
--         epoch begins so much later than it is made, and nobody counts of the one before what came after that.
register('analytics_begin', function(keys, args)
  local key = keys[1] .. ':epoch'
  local number, source, since = unpack(redis.call('HMGET', key, 'number', 'source', 'since_ms'))
  if source == args[1] then return { tonumber(number), tonumber(since) } end
  number, since = tonumber(number or 0) + 1, clock() + (number and tonumber(args[2]) or 0)
  redis.call('HSET', key, 'number', number, 'source', args[1], 'since_ms', string.format('%d', since))
  return { number, since }
end)
