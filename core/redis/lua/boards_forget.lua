-- boards_forget: take a player off a game's boards, those of past seasons too.
-- KEYS[1] base of the boards
-- ARGV    player, then modes of ratings that the game has
-- Returns places and counts taken out
-- Keeps   the total of every other player is the sum of his live buckets; a repeat changes nothing.
register('boards_forget', function(keys, args)
  local base, player = keys[1], args[1]
  local gone = redis.call('ZREM', base .. ':activity', player)
  for _, bucket in ipairs(redis.call('ZRANGE', base .. ':buckets', 0, -1)) do
    gone = gone + redis.call('HDEL', base .. ':counts:' .. bucket, player)
  end
  local function off(board, since)
    local tie = redis.call('HGET', since, player)
    if not tie then return end
    gone = gone + redis.call('ZREM', board, tie .. player)
    redis.call('HDEL', since, player)
  end
  off(base .. ':score', base .. ':since:score')
  off(base .. ':rating', base .. ':since:rating')
  redis.call('HDEL', base .. ':ratings', player)
  for _, mode in ipairs(redis.call('SMEMBERS', base .. ':modes')) do
    local name = mode == '' and 'rating' or 'rating:' .. mode
    off(base .. ':' .. name, base .. ':since:' .. name)
  end
  local seasons = redis.call('HGETALL', base .. ':seasons')
  for i = 1, #seasons, 2 do
    local number = string.match(seasons[i], '^e:(.+)$')
    for name in pairs(number and cjson.decode(seasons[i + 1]).boards or {}) do
      local archive = base .. ':season:' .. number
      off(archive .. ':' .. name, archive .. ':since:' .. name)
      if string.match(name, '^rating:') then redis.call('HDEL', base .. ':ratings:' .. string.sub(name, 8), player) end
    end
  end
  for i = 2, #args do gone = gone + redis.call('HDEL', base .. ':ratings:' .. args[i], player) end
  return gone
end)
