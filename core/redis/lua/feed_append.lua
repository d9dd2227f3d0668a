-- feed_append: put events of one shard of presence into the feed of a game, each once.
-- KEYS[1] base of the game
-- ARGV    shard, events kept, s for which a feed is kept that nothing is added to, then id in the shard and JSON of each
-- Returns events added; -1 where there is no such game
-- Keeps   an event of a shard is in the feed once: what is not later than the shard's last one there is a repeat.
register('feed_append', function(keys, args)
  local base = keys[1]
  if redis.call('EXISTS', base .. ':game') == 0 then return -1 end
  local feed, at = base .. ':feed', base .. ':feed:at'
  local last, added, told = redis.call('HGET', at, args[1]) or '0-0', 0, is_told(base)
  for i = 4, #args, 2 do
    if entry_before(last, args[i]) then
      redis.call('XADD', feed, 'MAXLEN', '~', args[2], '*', 'e', args[i + 1])
      if told then tell(base, string.match(args[i + 1], '"player":"([^"]*)"'), args[i + 1]) end
      last, added = args[i], added + 1
    end
  end
  if added > 0 then
    redis.call('HSET', at, args[1], last)
    redis.call('EXPIRE', feed, args[3])
    if redis.call('HEXISTS', base .. ':hook', 'url') == 1 then redis.call('HINCRBY', base .. ':hook', 'fed', added) end
  end
  return added
end)
