-- account_write: write an account from what its login record says.
-- KEYS[1] key of the account
-- ARGV    name as shown, role, revision of the role, created_ms
-- Returns the role that the account has now; '' where its player was erased, and nothing was written
-- Keeps   a role is never replaced by one of an older revision: a login that began before the role changed, and writes
--         after it, brings the old one back neither here nor into its token; what was a guest is one no more; a repeat of
--         the same call changes nothing.
register('account_write', function(keys, args)
  local stored = redis.call('HMGET', keys[1], 'role', 'role_rev', 'erased_ms')
  if stored[3] then return '' end
  local role, revision = args[2], args[3]
  if stored[1] and tonumber(stored[2] or 0) > tonumber(revision) then role, revision = stored[1], stored[2] end
  redis.call('HSET', keys[1], 'name', args[1], 'role', role, 'role_rev', revision, 'created_ms', args[4])
  redis.call('HDEL', keys[1], 'guest', 'claim', 'claim_ms')
  redis.call('PERSIST', keys[1])
  return role
end)
