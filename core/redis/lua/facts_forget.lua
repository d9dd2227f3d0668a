-- facts_forget: take what names a player out of the log of a game's matches, a bounded stretch at a time.
-- KEYS[1] base of the game
-- ARGV    player, where to begin as XRANGE has it, most entries to look at
-- Returns {entries taken out, id of the last one looked at ('' where the end was reached)}
-- Keeps   what a reader that is heard has yet to read: it carries it away first. A repeat changes nothing.
register('facts_forget', function(keys, args)
  local base, most, unread = keys[1], tonumber(args[3]), nil
  local found = redis.call('HGETALL', base .. ':readers')
  for i = 2, #found, 2 do
    local reader = cjson.decode(found[i])
    if not reader_silent(reader) and (not unread or entry_before(reader.at, unread)) then unread = reader.at end
  end
  local rows, gone = redis.call('XRANGE', base .. ':log', args[2], '+', 'COUNT', most), {}
  local last = #rows == most and rows[#rows][1] or ''
  for _, row in ipairs(rows) do
    local id, fields = row[1], row[2]
    if unread and entry_before(unread, id) then
      last = ''
      break
    end
    for i = 1, #fields, 2 do
      if fields[i] == 'data' and string.find(fields[i + 1], '"' .. args[1] .. '"', 1, true) then gone[#gone + 1] = id end
    end
  end
  if #gone > 0 then redis.call('XDEL', base .. ':log', unpack(gone)) end
  return { #gone, last }
end)
