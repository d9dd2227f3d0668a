-- board_read: a page of a board, and where one player stands, as of one moment.
-- KEYS[1] base of the boards
-- ARGV    season ('' for the running one), board (with ':mode' where the rating board has modes), first place of the page
--         (from 0), places, player ('' for none), neighbours on each side
-- Returns {'ok', running season, first place, page, the player's place (-1: not there), his score, first place of his
--         neighbours, neighbours}, where a page is {member, score, ...}; {'unknown', running season} where the season is
--         not kept
-- Keeps   nothing is written; page, place and neighbours agree with each other.
register('board_read', function(keys, args)
  local base, seasons = keys[1], keys[1] .. ':seasons'
  local running = redis.call('HGET', seasons, 'now') or '1'
  if args[1] ~= '' and args[1] ~= running then
    if redis.call('HEXISTS', seasons, 'e:' .. args[1]) == 0 then return { 'unknown', tonumber(running) } end
    base = base .. ':season:' .. args[1]
  end
  local board, first, places, around = base .. ':' .. args[2], tonumber(args[3]), tonumber(args[4]), tonumber(args[6])
  local page, near, start, place, score = {}, {}, 0, false, '0'
  if places > 0 then page = redis.call('ZREVRANGE', board, first, first + places - 1, 'WITHSCORES') end
  if args[5] ~= '' then
    local member = args[5]
    if args[2] ~= 'activity' then member = (redis.call('HGET', base .. ':since:' .. args[2], args[5]) or '') .. args[5] end
    place = redis.call('ZREVRANK', board, member)
    if place then
      score = redis.call('ZSCORE', board, member)
      start = math.max(0, place - around)
      if around > 0 then near = redis.call('ZREVRANGE', board, start, place + around, 'WITHSCORES') end
    end
  end
  return { 'ok', tonumber(running), first, page, place or -1, score, start, near }
end, 'no-writes')
