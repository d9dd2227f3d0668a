-- presence_expire: report players offline, a bounded number at a time.
-- KEYS[1] base of a shard of presence
-- ARGV    fencing token, ms: who was not heard since (0: nobody is to go), ms beyond which a time lies in the future,
--         most players, most events that wait to be settled
-- Returns {players reported, ms at which the first of them was heard last (0: none), players brought back from the future}
-- Keeps   a player leaves the index in the step that appends his report: whoever repeats it, or does it too, finds him
--         gone. Whoever is heard in the meantime stays. A time in the future was written before Redis' clock was set
--         back: the player counts as heard now. Refuses an old token. While events wait to be settled beyond the bound,
--         nobody is reported.
register('presence_expire', function(keys, args)
  local base, most = keys[1], tonumber(args[4])
  if fenced(base, args[1]) then return redis.error_reply('FENCED another replica reports this shard') end
  local index, events, now = base .. ':heard', base .. ':events', clock()
  local ahead = redis.call('ZRANGE', index, '+inf', '(' .. args[3], 'BYSCORE', 'REV', 'LIMIT', 0, most)
  if tonumber(args[3]) < now then ahead = {} end -- judged by a clock that has gone on: these are heard since
  if #ahead > 0 then
    local rows = {}
    for _, member in ipairs(ahead) do rows[#rows + 1], rows[#rows + 2] = now, member end
    redis.call('ZADD', index, unpack(rows))
  end
  if args[2] == '0' or redis.call('XLEN', events) >= tonumber(args[5]) then return { 0, 0, #ahead } end
  local due = redis.call('ZRANGE', index, '-inf', args[2], 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  if #due == 0 then return { 0, 0, #ahead } end
  local members, games = {}, {}
  for i = 1, #due, 2 do members[#members + 1] = due[i] end
  local since = redis.call('HMGET', base .. ':since', unpack(members))
  for i, member in ipairs(members) do
    local heard = due[2 * i]
    redis.call('XADD', events, '*', 'k', 'off', 'm', member, 's', since[i] or heard, 'l', heard)
    local game = string.match(member, '^[^/]+')
    games[game] = (games[game] or 0) + 1
  end
  redis.call('ZREM', index, unpack(members))
  redis.call('HDEL', base .. ':since', unpack(members))
  for game, count in pairs(games) do
    if redis.call('HINCRBY', base .. ':online', game, -count) <= 0 then redis.call('HDEL', base .. ':online', game) end
  end
  return { #members, tonumber(due[2]), #ahead }
end)
