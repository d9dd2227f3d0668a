-- standby_create: a server is about to be started that has no match yet.
-- KEYS[1] base of the game
-- ARGV    fencing token, now_ms, its id, version of the registration, kind (early | warm), most of them at once,
--         document (JSON of core.model.Match without players, whose id is the server's), the keys that it will know
-- Returns {'ok', state} | {'full', how many there are} | error FENCED
-- Keeps   no more servers without a match than allowed; a repeat of the same call changes nothing.
register('standby_create', function(keys, args)
  local base, now, id = keys[1], args[2], args[3]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  local key = standby_key(base, id)
  local state = redis.call('HGET', key, 'state')
  if state then return { 'ok', state } end
  local there = redis.call('ZCARD', base .. ':standbys')
  if there >= tonumber(args[6]) then return { 'full', there } end
  redis.call('HSET', key, 'state', 'Starting', 'version', args[4], 'kind', args[5], 'doc', args[7], 'created_ms', now,
             'keys', args[8] or '')
  redis.call('ZADD', base .. ':standbys', STARTS_LAST + now, id)
  server_fact(base, id, 'server_started', now, args[5], '')
  return { 'ok', 'Starting' }
end)
