-- account_erase: put a tombstone in the place of an account.
-- KEYS[1] key of the account
-- ARGV    now_ms
-- Returns {ms of the tombstone, name, name that a guest was taking, digest of who it was outside}, '' for what was not there
-- Keeps   who was erased is written by nobody again while the tombstone stands; a repeat tells the same, until what it
--         tells is forgotten (`account_forget`).
register('account_erase', function(keys, args)
  local key = keys[1]
  if redis.call('HEXISTS', key, 'erased_ms') == 0 then
    local known = redis.call('HMGET', key, 'name', 'claim', 'outside')
    redis.call('DEL', key)
    redis.call('HSET', key, 'erased_ms', args[1], 'was', known[1] or '', 'was_claim', known[2] or '',
               'was_outside', known[3] or '')
  end
  local told = redis.call('HMGET', key, 'erased_ms', 'was', 'was_claim', 'was_outside')
  return { told[1], told[2] or '', told[3] or '', told[4] or '' }
end)
