-- lease_take: take or renew the lease of a game. Redis' own clock decides, so replicas' clocks need not agree.
-- KEYS[1] base of the game
-- ARGV    owner, time to live in ms
-- Returns {token, until_ms, owner}; the token is 0 where another holds it
-- Keeps   one owner at a time; every change of owner raises the token, which fences off the one before.
register('lease_take', function(keys, args)
  local key = keys[1] .. ':lease'
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local owner, token, till = unpack(redis.call('HMGET', key, 'owner', 'token', 'until_ms'))
  if owner and owner ~= args[1] and tonumber(till) > now then return { 0, tonumber(till), owner } end
  if owner ~= args[1] or tonumber(till) <= now then token = (tonumber(token) or 0) + 1 end
  till = now + tonumber(args[2])
  redis.call('HSET', key, 'owner', args[1], 'token', token, 'until_ms', till)
  return { tonumber(token), till, args[1] }
end)
