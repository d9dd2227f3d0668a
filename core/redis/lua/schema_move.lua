-- schema_move: a migration begins, gets further, or is through.
-- KEYS[1] base of the schema
-- ARGV    fencing token of the schema's lease, 'begin' | 'step' | 'done', form that the migration leads to,
--         to begin: the release that does; to step: how far it is
-- Returns {'ok'} | {'waits', name and release of a service that runs and does not read that form} | {'other'} where the data
--         is not as this step takes it to be | error FENCED
-- Keeps   one migration at a time, each from the form before; only the holder of the lease moves; a repeat changes nothing.
register('schema_move', function(keys, args)
  if fenced(keys[1], args[1]) then return redis.error_reply('FENCED the lease of the schema has a new holder') end
  local state, to = keys[1] .. ':state', tonumber(args[3])
  local newest, oldest = unpack(redis.call('HMGET', state, 'newest', 'oldest'))
  newest, oldest = tonumber(newest) or SCHEMA_FIRST, tonumber(oldest) or SCHEMA_FIRST
  if args[2] == 'begin' then
    if newest == to and oldest < to then return { 'ok' } end
    if newest ~= to - 1 or oldest ~= newest then return { 'other' } end
    for _, one in ipairs(schema_services(keys[1] .. ':services', clock())) do
      if not one.gone and one.newest < to then return { 'waits', one.who } end
    end
    redis.call('HSET', state, 'newest', to, 'oldest', oldest, 'by', args[4], 'place', '')
    return { 'ok' }
  end
  if newest ~= to then return { 'other' } end
  if args[2] == 'step' then
    redis.call('HSET', state, 'place', args[4])
  else
    redis.call('HSET', state, 'oldest', to, 'place', '')
  end
  return { 'ok' }
end)
