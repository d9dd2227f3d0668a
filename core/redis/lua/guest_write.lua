-- guest_write: write a guest, who has no login to be written from.
-- KEYS[1] key of the account
-- ARGV    name as shown, created_ms, time to live in s, and, for a player from outside, `game` and `outside` ('' for none)
-- Returns 'ok' | 'account' where the guest has an account by now, and nothing was written | 'erased'
-- Keeps   a guest who became an account stays one; a player from outside is kept for ever.
register('guest_write', function(keys, args)
  local known = redis.call('HMGET', keys[1], 'name', 'guest', 'erased_ms', 'game')
  if known[3] then return 'erased' end
  if known[1] and not known[2] and not known[4] then return 'account' end
  redis.call('HSET', keys[1], 'name', args[1], 'role', 'player', 'created_ms', args[2])
  if args[4] ~= '' then
    redis.call('HSET', keys[1], 'game', args[4], 'outside', args[5])
  else
    redis.call('HSET', keys[1], 'guest', 1)
    redis.call('EXPIRE', keys[1], args[3])
  end
  return 'ok'
end)
