-- account_write: write an account from what its login record says.
-- KEYS[1] key of the account
-- ARGV    name as shown, role, revision of the role, created_ms
-- Returns the role that the account has now
-- Keeps   a role is never replaced by one of an older revision: a login that began before the role changed, and writes
--         after it, brings the old one back neither here nor into its token; a repeat of the same call changes nothing.
register('account_write', function(keys, args)
  local stored = redis.call('HMGET', keys[1], 'role', 'role_rev')
  local role, revision = args[2], args[3]
  if stored[1] and tonumber(stored[2] or 0) > tonumber(revision) then role, revision = stored[1], stored[2] end
  redis.call('HSET', keys[1], 'name', args[1], 'role', role, 'role_rev', revision, 'created_ms', args[4])
  return role
end)
