-- inbox_take: a server answers the commands that it has, and takes the next.
-- KEYS[1] base of the game
-- ARGV    match id, server id, most, then of each that it answers: its place, message id, answer (never '', 'taken', 'waits ...')
-- Returns {'ok', (place, message id, command)...} all that it has and did not answer, oldest first | {'foreign'} where the
--         match is not this server's
-- Keeps   what was taken is not taken back, so it is executed or its server died; a repeat of the same call changes nothing.
register('inbox_take', function(keys, args)
  local base, id = keys[1], args[1]
  if redis.call('HGET', match_key(base, id), 'server') ~= args[2] then return { 'foreign' } end
  local stream = inbox_key(base, id)
  local told = stream .. ':told'
  for i = 4, #args, 3 do
    if redis.call('XDEL', stream, args[i]) == 1 then redis.call('HSET', told, args[i + 1], args[i + 2]) end
  end
  local result = { 'ok' }
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', tonumber(args[3]))) do
    local place, fields = entry[1], entry[2]
    redis.call('HSET', told, fields[2], TAKEN)
    result[#result + 1], result[#result + 2], result[#result + 3] = place, fields[2], fields[4]
  end
  return result
end)
