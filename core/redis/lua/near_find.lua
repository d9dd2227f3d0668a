-- near_find: players of one shard near a place, nearest first, with the position that their `move` view has.
-- KEYS[1] base of the players' shard
-- ARGV    latitude, longitude, radius in m, most players; latitude '' asks for those near a pole, wherever they are
-- Returns player, latitude, longitude, at (RFC 3339), ... for up to a few more than asked; the caller measures and sorts
-- Keeps   nobody is told whose position has expired, whatever the index still has.
local SLACK = 8        -- the index is right to a metre; of players as near as the last one, some more are looked at
local CLEAN = 1000     -- expired players taken out by one look
local EXPIRED_MOST = 4000 -- more of them than that, not yet taken out, may hide others for the moment
local FIRST_M = 1      -- the first circle looked at; each further one has four times the radius, so a crowd costs no more

register('near_find', function(keys, args)
  local index, polar, till = keys[1] .. ':near', keys[1] .. ':near:polar', keys[1] .. ':near:until'
  local radius, most = tonumber(args[3]), tonumber(args[4])
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local past = redis.call('ZRANGE', till, '-inf', now, 'BYSCORE', 'LIMIT', 0, CLEAN)
  if #past > 0 then
    redis.call('ZREM', index, unpack(past))
    redis.call('SREM', polar, unpack(past))
    redis.call('ZREM', till, unpack(past))
  end
  local wanted = most + SLACK
  if #past == CLEAN then wanted = wanted + math.min(EXPIRED_MOST, redis.call('ZCOUNT', till, '-inf', now)) end
  local reach, names = math.min(FIRST_M, radius), nil
  if args[1] == '' then names = redis.call('SRANDMEMBER', polar, most) end
  while args[1] ~= '' do
    local circle = { 'FROMLONLAT', args[2], args[1], 'BYRADIUS', reach, 'm', 'ASC', 'COUNT', wanted }
    -- Within a metre the index cannot tell who is nearer: any of them will do.
    if reach <= FIRST_M then circle[#circle + 1] = 'ANY' end
    names = redis.call('GEOSEARCH', index, unpack(circle))
    if #names >= wanted or reach >= radius then break end
    reach = math.min(radius, reach * 4)
  end
  local found = {}
  for _, player in ipairs(names) do
    local lat, lon, at = unpack(redis.call('HMGET', keys[1] .. ':move:' .. player, 'lat', 'lon', 'at'))
    if lat then
      found[#found + 1], found[#found + 2], found[#found + 3], found[#found + 4] = player, lat, lon, at
    end
  end
  return found
end)
