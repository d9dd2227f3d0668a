-- hook_put: a game has a webhook now, or another one.
-- KEYS[1] base of the game
-- ARGV    url, salt of its key
-- Returns 1; 0 where there is no such game
-- Keeps   a first webhook hears of what happens from now on; one that takes another's place of what that one has not
--         heard yet, at once.
register('hook_put', function(keys, args)
  local base, hook = keys[1], keys[1] .. ':hook'
  if redis.call('EXISTS', base .. ':game') == 0 then return 0 end
  if redis.call('HEXISTS', hook, 'url') == 0 then
    local last = redis.call('XREVRANGE', base .. ':feed', '+', '-', 'COUNT', 1)[1]
    redis.call('HSET', hook, 'at', last and last[1] or '0-0', 'fed', 0, 'passed', 0, 'delivered', 0, 'lost', 0)
  end
  redis.call('HSET', hook, 'url', args[1], 'salt', args[2], 'tries', 0, 'due_ms', 0, 'error', '')
  return 1
end)
