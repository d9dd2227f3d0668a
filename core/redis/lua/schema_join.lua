-- schema_join: a service says that it runs, which release it is and which forms of data it reads; and asks what is there.
-- KEYS[1] base of the schema
-- ARGV    service's id, oldest form it reads, newest form it reads, ms for which this is good, its name and release (JSON),
--         name of its function library, its clock (ms)
-- Returns {'ok' | 'refused', newest form that may be there, oldest, release that brought it there, how far a migration is}
-- Keeps   a service is among those that run only where it reads all forms that may be there; since schema_move asks them,
--         no form comes that one of them does not read. A Redis that has no version yet has the first.
register('schema_join', function(keys, args)
  local state, services, now = keys[1] .. ':state', keys[1] .. ':services', clock()
  redis.call('HSETNX', state, 'newest', SCHEMA_FIRST)
  redis.call('HSETNX', state, 'oldest', SCHEMA_FIRST)
  local newest, oldest, by, place = unpack(redis.call('HMGET', state, 'newest', 'oldest', 'by', 'place'))
  local told = { newest, oldest, by or '', place or '' }
  if tonumber(args[3]) < tonumber(newest) or tonumber(args[2]) > tonumber(oldest) then
    redis.call('HDEL', services, args[1])
    return { 'refused', unpack(told) }
  end
  for _, one in ipairs(schema_services(services, now)) do
    if one.gone then redis.call('HDEL', services, one.id) end
  end
  redis.call('HSET', services, args[1], cjson.encode({
    till = now + tonumber(args[4]), oldest = tonumber(args[2]), newest = tonumber(args[3]), who = args[5],
    skew_ms = tonumber(args[7]) - now,
  }))
  redis.call('HSET', keys[1] .. ':libraries', args[6], now)
  return { 'ok', unpack(told) }
end)
