-- guest_claim: a guest is about to take a user name.
-- KEYS[1] key of the account
-- ARGV    the folded name, now_ms, ms for which nobody may begin with another name
-- Returns {'ok', the folded name that was tried before, or ''} | {'busy', the name that is being taken} | {'account'} who is
--         no guest any more | {'gone'}
-- Keeps   a guest takes one name at a time, so that no account has two.
register('guest_claim', function(keys, args)
  local known = redis.call('HMGET', keys[1], 'name', 'guest', 'claim', 'claim_ms')
  if not known[1] then return { 'gone' } end
  if not known[2] then return { 'account' } end
  local before = known[3] or ''
  if before ~= '' and before ~= args[1] and args[2] - known[4] < tonumber(args[3]) then return { 'busy', before } end
  redis.call('HSET', keys[1], 'claim', args[1], 'claim_ms', args[2])
  return { 'ok', before ~= args[1] and before or '' }
end)
