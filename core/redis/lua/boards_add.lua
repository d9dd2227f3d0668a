-- boards_add: count interactions and scores of one batch on a game's boards.
-- KEYS[1] base of the boards
-- ARGV    match id ('' where the caller needs no protection from repeats), number of the batch, bucket (its first second),
--         then per player: id, interactions, best score ('' for none); optionally
--         at the end, the number of the batch before it, which must be there
-- Returns {'ok' | 'repeat' | 'gap', number of the last batch}, which is 0 for a caller without protection
-- Keeps   the total of a player is the sum of his live buckets; a batch counts once.
register('boards_add', function(keys, args)
  local base, bucket, last = keys[1], args[3], 0
  if args[1] ~= '' then
    local mark = base .. ':batch:' .. args[1]
    last = tonumber(redis.call('GET', mark) or 0)
    if tonumber(args[2]) <= last then return { 'repeat', last } end
    local before = #args % 3 == 1 and tonumber(args[#args]) or last
    if before > last then return { 'gap', last } end
    last = tonumber(args[2])
    redis.call('SET', mark, last, 'EX', PLAYED_KEPT_S)
  end
  for i = 4, #args - 2, 3 do
    if args[i + 1] ~= '0' then
      redis.call('ZINCRBY', base .. ':activity', args[i + 1], args[i])
      redis.call('ZINCRBY', base .. ':activity:' .. bucket, args[i + 1], args[i])
      redis.call('ZADD', base .. ':buckets', bucket, bucket)
    end
    if args[i + 2] ~= '' then redis.call('ZADD', base .. ':score', 'GT', args[i + 2], args[i]) end
  end
  return { 'ok', last }
end)
