-- queue_read: the waiting tickets, longest wait first.
-- KEYS[1] base of the game
-- ARGV    how many at most
-- Returns {ticket id, since_ms, state, doc, ...} four values a ticket
-- Keeps   a queue entry whose ticket is gone is dropped.
register('queue_read', function(keys, args)
  local base, found = keys[1], {}
  for _, id in ipairs(redis.call('ZRANGE', base .. ':queue', 0, tonumber(args[1]) - 1)) do
    local state, since, doc = unpack(redis.call('HMGET', ticket_key(base, id), 'state', 'since_ms', 'doc'))
    if state then
      local n = #found
      found[n + 1], found[n + 2], found[n + 3], found[n + 4] = id, since, state, doc
    else
      redis.call('ZREM', base .. ':queue', id)
      redis.call('ZREM', base .. ':alive', id)
    end
  end
  return found
end)
