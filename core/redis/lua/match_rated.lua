-- match_rated: note what became of the ratings of finished matches; nothing is left to do for them.
-- KEYS[1] base of the game
-- ARGV    per match: id, 'rated' or why no rating moved
-- Returns matches that were still unrated
-- Keeps   called after ratings_write only, so a match leaves the unrated ones when its ratings have moved.
register('match_rated', function(keys, args)
  local base, left = keys[1], 0
  for i = 1, #args, 2 do
    left = left + redis.call('ZREM', base .. ':unrated', args[i])
    local key = match_key(base, args[i])
    if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'rating', args[i + 1]) end
  end
  return left
end)
