-- hook_again: deliveries that were given up are to be made once more.
-- KEYS[1] base of the game
-- ARGV    most of them now, then ids (none: the oldest, whichever they are)
-- Returns how many they are
-- Keeps   a delivery is among those given up or among those to be made once more.
register('hook_again', function(keys, args)
  local base, moved = keys[1], 0
  local dead, order = base .. ':hook:dead', base .. ':hook:order'
  local ids = { unpack(args, 2) }
  if #ids == 0 then ids = redis.call('ZRANGE', order, 0, args[1] - 1) end
  for _, id in ipairs(ids) do
    local text = redis.call('HGET', dead, id)
    if text then
      redis.call('RPUSH', base .. ':hook:again', text)
      redis.call('HDEL', dead, id)
      redis.call('ZREM', order, id)
      moved = moved + 1
    end
  end
  return moved
end)
