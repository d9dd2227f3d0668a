-- near_add: put positions of players into their shard's part of the game's index of who is near.
-- KEYS[1] base of the players' shard
-- ARGV    time to live in s, most players in this part, then per player: player, latitude, longitude
-- Returns players put in (in the index, or in the list of those near a pole); fewer than given where the part is full
-- Keeps   the index is no truth: it names players to look at, whose position is their `move` view. It holds nobody much
--         longer than that: each call takes out up to two for one that it puts in, and a part that is not written goes
--         with its time to live.
local POLAR = 84 -- degrees; nearer to a pole Redis' index ends (EPSG:3857): players there are only listed

register('near_add', function(keys, args)
  local index, polar, till = keys[1] .. ':near', keys[1] .. ':near:polar', keys[1] .. ':near:until'
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local n = (#args - 2) / 3
  local past = redis.call('ZRANGE', till, '-inf', now, 'BYSCORE', 'LIMIT', 0, 2 * n + 10)
  if #past > 0 then
    redis.call('ZREM', index, unpack(past))
    redis.call('SREM', polar, unpack(past))
    redis.call('ZREM', till, unpack(past))
  end
  local room = tonumber(args[2]) - redis.call('ZCARD', till)
  local places, poles, ends, put = {}, {}, {}, 0
  local any_polar = redis.call('EXISTS', polar) == 1
  for i = 3, #args, 3 do
    local player = args[i]
    local newcomer = room <= n and not redis.call('ZSCORE', till, player)
    if not newcomer or room > 0 then
      if newcomer then room = room - 1 end
      put = put + 1
      if math.abs(tonumber(args[i + 1])) > POLAR then
        poles[#poles + 1] = player
      else
        places[#places + 1], places[#places + 2], places[#places + 3] = args[i + 2], args[i + 1], player
        if any_polar then redis.call('SREM', polar, player) end
      end
      ends[#ends + 1], ends[#ends + 2] = now + args[1] * 1000, player
    end
  end
  if put > 0 then
    if #places > 0 then redis.call('GEOADD', index, unpack(places)) end
    if #poles > 0 then
      redis.call('SADD', polar, unpack(poles))
      redis.call('ZREM', index, unpack(poles))
    end
    redis.call('ZADD', till, unpack(ends))
    for _, key in ipairs({ index, polar, till }) do redis.call('EXPIRE', key, args[1]) end
  end
  return put
end)
