-- boards_expire: take buckets that left the window out of the totals, a bounded step at a time.
-- KEYS[1] base of the boards
-- ARGV    first second of the oldest bucket still in the window, most members to take out now
-- Returns members taken out; fewer than asked means that nothing is left to expire
-- Keeps   the total of a player is the sum of his live buckets, after every step.
register('boards_expire', function(keys, args)
  local base, left = keys[1], tonumber(args[2])
  local taken = 0
  while left > 0 do
    local bucket = redis.call('ZRANGE', base .. ':buckets', '-inf', '(' .. args[1], 'BYSCORE', 'LIMIT', 0, 1)[1]
    if not bucket then break end
    local popped = redis.call('ZPOPMIN', base .. ':activity:' .. bucket, left)
    for i = 1, #popped, 2 do
      if tonumber(redis.call('ZINCRBY', base .. ':activity', -popped[i + 1], popped[i])) <= 0 then
        redis.call('ZREM', base .. ':activity', popped[i])
      end
    end
    taken, left = taken + #popped / 2, left - #popped / 2
    if redis.call('EXISTS', base .. ':activity:' .. bucket) == 0 then redis.call('ZREM', base .. ':buckets', bucket) end
  end
  return taken
end)
