-- invitation_take: use an invitation.
-- KEYS[1] key of the invitation
-- ARGV    digest of the code, player
-- Returns 'ok' | 'used' | 'gone' where there is none, or the code is another
-- Keeps   an invitation is good for one player; a repeat of the same call is recognised.
register('invitation_take', function(keys, args)
  local digest, used = unpack(redis.call('HMGET', keys[1], 'digest', 'used_by'))
  if digest ~= args[1] then return 'gone' end
  if used and used ~= args[2] then return 'used' end
  redis.call('HSET', keys[1], 'used_by', args[2])
  return 'ok'
end)
