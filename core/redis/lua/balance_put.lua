-- balance_put: the next version of a game's balance document.
-- KEYS[1] key of the balance
-- ARGV    version it follows, document, most versions kept
-- Returns {'ok' | 'repeat', version} | {'refused', version that it is}
-- Keeps   versions rise by one; a replaced one is kept with the ms of its end until it is one of too many.
register('balance_put', function(keys, args)
  local key, now = keys[1], clock()
  local version = tonumber(redis.call('HGET', key, 'now')) or 0
  local wanted = tonumber(args[1]) + 1
  if version == wanted and redis.call('HGET', key, 'v:' .. wanted) == args[2] then return { 'repeat', version } end
  if version ~= wanted - 1 then return { 'refused', version } end
  redis.call('HSET', key, 'now', wanted, 'since', redis.call('HGET', key, 'since') or now, 'v:' .. wanted, args[2])
  if version > 0 then redis.call('HSET', key, 'until:' .. version, now) end
  redis.call('HDEL', key, 'v:' .. (wanted - args[3]), 'until:' .. (wanted - args[3]))
  return { 'ok', wanted }
end)
