-- lease_drop: give a lease back (a clean stop, or more than one's share), so that the next owner need not wait for its end.
-- KEYS[1] base of the game
-- ARGV    owner
-- Returns 1 where it was ours, else 0
-- Keeps   the token stays, so the next owner's is higher.
register('lease_drop', function(keys, args)
  local key = keys[1] .. ':lease'
  if redis.call('HGET', key, 'owner') ~= args[1] then return 0 end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local till = math.min(now, tonumber(redis.call('HGET', key, 'until_ms')))
  redis.call('HSET', key, 'until_ms', till, 'dropped_by', args[1])
  return 1
end)
