-- lease_take: take or renew the lease of a game. Redis' own clock decides, so replicas' clocks need not agree.
-- KEYS[1] base of the game
-- ARGV    owner, time to live in ms, patience in ms: a new lease is taken only when it lay free for so long
-- Returns {token, ms until it ends, owner}; the token is 0 where it was not taken, and the ms say when to ask again
-- Keeps   one owner at a time; every change of owner raises the token, which fences off the one before. Tokens follow
--         the clock, so that they rise even where Redis lost its data. Who dropped a lease lets others go first.
--         A lease that ends far later than any is given was written before the clock was set back: it is over.
local FAR = 10 -- times to live

register('lease_take', function(keys, args)
  local key = keys[1] .. ':lease'
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local owner, token, till, dropped = unpack(redis.call('HMGET', key, 'owner', 'token', 'until_ms', 'dropped_by'))
  token, till = tonumber(token) or 0, tonumber(till) or 0
  if till - now > FAR * args[2] then till = 0 end
  if owner and till > now then
    if owner ~= args[1] then return { 0, till - now, owner } end
  else
    local patience = tonumber(dropped == args[1] and args[2] or args[3])
    if owner and now - till < patience then return { 0, till + patience - now, '' } end
    token = math.max(token + 1, now)
  end
  redis.call('HSET', key, 'owner', args[1], 'token', token, 'until_ms', now + args[2], 'dropped_by', '')
  return { token, tonumber(args[2]), args[1] }
end)
