-- flags_forget: take what names a player out of the flags of a game, or of the installation.
-- KEYS[1] base of the game, or of the installation
-- ARGV    the player, or the name that logins are counted by
-- Returns how many were taken out
-- Keeps   a repeat changes nothing. There are a thousand at most.
register('flags_forget', function(keys, args)
  local key, gone = keys[1] .. ':flags', {}
  local found = redis.call('HGETALL', key)
  for i = 2, #found, 2 do
    if string.find(found[i], cjson.encode(args[1]), 1, true) then gone[#gone + 1] = found[i - 1] end
  end
  if #gone == 0 then return 0 end
  redis.call('ZREM', key .. ':order', unpack(gone))
  return redis.call('HDEL', key, unpack(gone))
end)
