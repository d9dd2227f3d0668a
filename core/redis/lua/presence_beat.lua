-- presence_beat: players were heard of; many at once.
-- KEYS[1] base of a shard of presence
-- ARGV    ms that heartbeats are held to be heard without a break, ms for which nobody is judged after a break, most
--         players of a shard, most events that wait to be settled, '1' where the caller is one of those whom clients
--         send heartbeats to (then an empty list says that it listens), then `<game>/<player>`...
-- Returns {players whose session begins, players...  whom the shard has no room for}
-- Keeps   a session begins once, with its event, in the step that tracks the player; a heartbeat of one who is tracked
--         only moves the time at which he was heard. After a break of the listening (Redis was away or stopped, another
--         one has its place, its clock was set, no webapi ran) `hold` gives everybody a whole time-out to be heard again.
local ARGS = 5

-- Tell that these came; where nobody settles events any more they are not told, but counted.
local function tell_came(base, came, now, most)
  local events = base .. ':events'
  if redis.call('XLEN', events) >= most then
    redis.call('HINCRBY', base .. ':watch', 'dropped', #came)
    return
  end
  for _, member in ipairs(came) do redis.call('XADD', events, '*', 'k', 'on', 'm', member, 's', now, 'l', now) end
end

register('presence_beat', function(keys, args)
  local base, now = keys[1], clock()
  if args[5] == '1' then
    local watch, gap = base .. ':watch', tonumber(args[1])
    local heard = tonumber(redis.call('HGET', watch, 'heard'))
    if not heard or math.abs(now - heard) > gap then redis.call('HSET', watch, 'hold', now + args[2]) end
    redis.call('HSET', watch, 'heard', now)
  end
  if #args == ARGS then return { 0 } end
  local index, members = base .. ':heard', {}
  for i = ARGS + 1, #args do members[#members + 1] = args[i] end
  local known = redis.call('ZMSCORE', index, unpack(members))
  local room, rows, came, sessions, full = nil, {}, {}, {}, {}
  for i, member in ipairs(members) do
    if not known[i] then
      room = room or tonumber(args[3]) - redis.call('ZCARD', index)
      if room > 0 then
        room = room - 1
        came[#came + 1] = member
        sessions[#sessions + 1], sessions[#sessions + 2] = member, now
      else
        full[#full + 1] = member
      end
    end
    if known[i] or #full == 0 or full[#full] ~= member then
      rows[#rows + 1], rows[#rows + 2] = now, member
    end
  end
  if #rows > 0 then redis.call('ZADD', index, unpack(rows)) end
  if #came > 0 then
    redis.call('HSET', base .. ':since', unpack(sessions))
    for _, member in ipairs(came) do redis.call('HINCRBY', base .. ':online', string.match(member, '^[^/]+'), 1) end
    tell_came(base, came, now, tonumber(args[4]))
  end
  return { #came, unpack(full) }
end)
