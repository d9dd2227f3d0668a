-- boards_add: count interactions and scores of one batch on a game's boards.
-- KEYS[1] base of the boards
-- ARGV    match id ('' where the caller needs no protection from repeats), number of the batch, UTC ms at which its
--         scores were reached, then per player: id, bucket (its first second), interactions (less than 0 takes back), best
--         score ('' for none); optionally at the end, the number of the batch before it, which must be there
-- Returns {'ok' | 'repeat' | 'gap', number of the last batch}, which is 0 for a caller without protection
-- Keeps   the total of a player is the sum of his live buckets; a batch counts once, its scores in one season; a player's
--         score is his best, with the time at which he first reached it, in whatever order batches come.
register('boards_add', function(keys, args)
  local base, last = keys[1], 0
  if args[1] ~= '' then
    local mark = base .. ':batch:' .. args[1]
    last = tonumber(redis.call('GET', mark) or 0)
    if tonumber(args[2]) <= last then return { 'repeat', last } end
    local before = #args % 4 == 0 and tonumber(args[#args]) or last
    if before > last then return { 'gap', last } end
    last = tonumber(args[2])
    redis.call('SET', mark, last, 'EX', PLAYED_KEPT_S)
  end
  local seen, buckets = {}, {}
  for i = 4, #args - 3, 4 do
    local player, bucket, n, score = args[i], args[i + 1], tonumber(args[i + 2]), args[i + 3]
    local counts = base .. ':counts:' .. bucket
    -- A correction takes back what is there at most: the bucket may have been expired since somebody looked at it.
    if n < 0 then n = -math.min(-n, tonumber(redis.call('HGET', counts, player) or 0)) end
    if n ~= 0 then
      local total = redis.call('ZINCRBY', base .. ':activity', n, player)
      if redis.call('HINCRBY', counts, player, n) <= 0 then redis.call('HDEL', counts, player) end
      if tonumber(total) <= 0 then redis.call('ZREM', base .. ':activity', player) end
      if not seen[bucket] then
        seen[bucket] = true
        buckets[#buckets + 1], buckets[#buckets + 2] = bucket, bucket
      end
    end
    if score ~= '' then board_put(base, 'score', player, score, args[3], true) end
  end
  if #buckets > 0 then redis.call('ZADD', base .. ':buckets', unpack(buckets)) end
  return { 'ok', last }
end)
