-- boards_add: count interactions and scores of one batch on a game's boards.
-- KEYS[1] base of the boards
-- ARGV    match id ('' where the caller needs no protection from repeats), number of the batch, bucket (its first second),
--         then per player: id, interactions, best score ('' for none)
-- Returns 'ok' | 'repeat'
-- Keeps   the total of a player is the sum of his live buckets; a batch counts once.
register('boards_add', function(keys, args)
  local base, bucket = keys[1], args[3]
  if args[1] ~= '' then
    local mark = base .. ':batch:' .. args[1]
    if tonumber(args[2]) <= tonumber(redis.call('GET', mark) or 0) then return 'repeat' end
    redis.call('SET', mark, args[2], 'EX', PLAYED_KEPT_S)
  end
  for i = 4, #args, 3 do
    if args[i + 1] ~= '0' then
      redis.call('ZINCRBY', base .. ':activity', args[i + 1], args[i])
      redis.call('ZINCRBY', base .. ':activity:' .. bucket, args[i + 1], args[i])
      redis.call('ZADD', base .. ':buckets', bucket, bucket)
    end
    if args[i + 2] ~= '' then redis.call('ZADD', base .. ':score', 'GT', args[i + 2], args[i]) end
  end
  return 'ok'
end)
