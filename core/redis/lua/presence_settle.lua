-- presence_settle: put what events say into days and sessions of players, and go on to the events after them.
-- KEYS[1] base of a shard of presence
-- ARGV    fencing token, id of the last event that was settled before ('' none), id of the last one of these, events kept,
--         s for which days and sessions are kept, sessions kept of a player, day before which days may go, most fields
--         of a player, then for each session: player, its JSON, number of days, then for each day its field and its ms
-- Returns {'ok', 0} | {'stale', id of the last event that is settled}
-- Keeps   an event is settled once: sums and the place in the stream change in one step. Events are trimmed only once
--         they are settled. Refuses an old token.
local function prune(key, oldest)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if tonumber(string.match(field, '/(%-?%d+)$')) < oldest then redis.call('HDEL', key, field) end
  end
end

register('presence_settle', function(keys, args)
  local base = keys[1]
  if fenced(base, args[1]) then return redis.error_reply('FENCED another replica reports this shard') end
  local settled = redis.call('GET', base .. ':settled') or ''
  if settled ~= args[2] then return { 'stale', settled } end
  local i = 9
  while i <= #args do
    local days, sessions = base .. ':days:' .. args[i], base .. ':sessions:' .. args[i]
    redis.call('LPUSH', sessions, args[i + 1])
    redis.call('LTRIM', sessions, 0, args[6] - 1)
    redis.call('EXPIRE', sessions, args[5])
    local count = tonumber(args[i + 2])
    i = i + 3
    for _ = 1, count do
      redis.call('HINCRBY', days, args[i], args[i + 1])
      i = i + 2
    end
    redis.call('EXPIRE', days, args[5])
    if redis.call('HLEN', days) > tonumber(args[8]) then prune(days, tonumber(args[7])) end
  end
  redis.call('SET', base .. ':settled', args[3])
  local over = redis.call('XLEN', base .. ':events') - args[4]
  if over > 0 then redis.call('XTRIM', base .. ':events', 'MINID', '~', args[3], 'LIMIT', over + 100) end
  return { 'ok', 0 }
end)
