-- season_end: end a season. Its score and rating boards become its archive, empty ones take their place, at once.
-- KEYS[1] base of the boards
-- ARGV    number of the season to end, UTC ms of now, share of skill that goes into the next season, most archives kept
-- Returns {'ok' | 'repeat' where it has ended already | 'ahead' where it has not begun, number of the running season}
-- Keeps   a season ends once; what is written is in one season; no more archives than asked for. The work does not grow
--         with the players: boards are renamed, and the memory of an archive that goes is freed beside.
local function archive_of(base, season) return base .. ':season:' .. season end

local function archive_drop(base, seasons, season)
  local record = redis.call('HGET', seasons, 'e:' .. season)
  for name in pairs(record and cjson.decode(record).boards or {}) do
    redis.call('UNLINK', archive_of(base, season) .. ':' .. name, archive_of(base, season) .. ':since:' .. name)
  end
  redis.call('HDEL', seasons, 'e:' .. season)
end

register('season_end', function(keys, args)
  local base, seasons, ends = keys[1], keys[1] .. ':seasons', tonumber(args[1])
  local now, first, since, carry = unpack(redis.call('HMGET', seasons, 'now', 'first', 'since', 'carry'))
  local running = tonumber(now or 1)
  if ends ~= running then return { ends < running and 'repeat' or 'ahead', running } end
  local names, sizes = { 'score' }, {}
  for _, mode in ipairs(redis.call('SMEMBERS', base .. ':modes')) do
    names[#names + 1] = mode == '' and 'rating' or 'rating:' .. mode
  end
  for _, name in ipairs(names) do
    for _, part in ipairs({ ':' .. name, ':since:' .. name }) do
      if redis.call('EXISTS', base .. part) == 1 then redis.call('RENAME', base .. part, archive_of(base, ends) .. part) end
    end
    sizes[name] = redis.call('ZCARD', archive_of(base, ends) .. ':' .. name)
  end
  redis.call('DEL', base .. ':modes')
  local record = { season = ends, started_ms = tonumber(since or 0), ended_ms = tonumber(args[2]),
                   carry = tonumber(args[3]), boards = sizes }
  redis.call('HSET', seasons, 'e:' .. ends, cjson.encode(record))
  local shares = {}
  for share in string.gmatch((carry or '') .. ' ' .. args[3], '%S+') do shares[#shares + 1] = share end
  first = tonumber(first or 1)
  while ends - first >= tonumber(args[4]) do
    archive_drop(base, seasons, first)
    first = first + 1
  end
  local from = math.max(1, #shares - (ends - first))
  redis.call('HSET', seasons, 'now', ends + 1, 'first', first, 'since', args[2],
             'carry', table.concat(shares, ' ', from))
  return { 'ok', ends + 1 }
end)
