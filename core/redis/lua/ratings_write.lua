-- ratings_write: move the ratings of the players of one match, once.
-- KEYS[1] base of the boards
-- ARGV    match id, mode ('' in a game without modes), season that they were computed in, UTC ms at which the match ended,
--         then per player: id, the rating that the new one was computed from ('' for none), the new one, score on the board
-- Returns 'ok' | 'repeat' | 'changed' where a rating is not the one it was computed from, or the season has ended: read and
--         compute again
-- Keeps   a match moves each rating once or none at all, in one season; whoever has moved in a season is on its board.
register('ratings_write', function(keys, args)
  local base, mode = keys[1], args[2] == '' and '' or ':' .. args[2]
  local mark, ratings = base .. ':rated:' .. args[1], base .. ':ratings' .. mode
  if redis.call('EXISTS', mark) == 1 then return 'repeat' end
  if args[3] ~= (redis.call('HGET', base .. ':seasons', 'now') or '1') then return 'changed' end
  for i = 5, #args, 4 do
    if (redis.call('HGET', ratings, args[i]) or '') ~= args[i + 1] then return 'changed' end
  end
  for i = 5, #args, 4 do
    redis.call('HSET', ratings, args[i], args[i + 2])
    board_put(base, 'rating' .. mode, args[i], args[i + 3], args[4], false)
  end
  redis.call('SADD', base .. ':modes', args[2])
  redis.call('SET', mark, '1', 'EX', RATED_KEPT_S)
  return 'ok'
end)
