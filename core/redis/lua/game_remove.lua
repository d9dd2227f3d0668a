-- game_remove: forget a game that nobody waits for or plays. Boards and items stay, and the id its owner's.
-- KEYS[1] base of the game
-- ARGV    -
-- Returns {'ok', 0, 0} | {'busy', waiting tickets, live matches}
-- Keeps   no ticket and no match without its game.
register('game_remove', function(keys, args)
  local base = keys[1]
  local waiting, live = redis.call('ZCARD', base .. ':queue'), redis.call('ZCARD', base .. ':live')
  if waiting + live > 0 then return { 'busy', waiting, live } end
  for _, id in ipairs(redis.call('ZRANGE', base .. ':standbys', 0, -1)) do
    standby_close(base, id, redis.call('TIME')[1] * 1000, 'game_removed', '')
  end
  redis.call('DEL', base .. ':game', base .. ':open', base .. ':stats', base .. ':recent', base .. ':changes',
             base .. ':unrated', base .. ':feed', base .. ':feed:at', base .. ':hook', base .. ':hook:dead',
             base .. ':hook:order', base .. ':hook:again', base .. ':log', base .. ':readers',
             base .. ':facts:log', base .. ':facts:readers',
             base .. ':playing', base .. ':versions', base .. ':canary', base .. ':outcomes',
             base .. ':standbys', base .. ':supply', base .. ':plan')
  return { 'ok', 0, 0 }
end)
