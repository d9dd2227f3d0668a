-- inbox_put: hand commands from outside to a running match's server, in their order.
-- KEYS[1] base of the game
-- ARGV    match id, most that may wait, then of each: message id, command (JSON, as core.intake.messages makes it)
-- Returns {state, answer...}: 'ok', or why the match takes none: 'gone', 'early', 'over', or 'deaf' where nobody of ours is
--         beside its game; of each command what is told of it (`waits <place>`, `taken`, or its answer), or '' where it was
--         not taken in: for that state, or because as many wait as may (and none after it)
-- Keeps   a message id is taken in once, as long as it is among the last INBOX_KNOWN of the match.
register('inbox_put', function(keys, args)
  local base, id, most = keys[1], args[1], tonumber(args[2])
  local state, server = unpack(redis.call('HMGET', match_key(base, id), 'state', 'server'))
  local key, result = inbox_key(base, id), { 'ok' }
  local stream, told, ids = key, key .. ':told', key .. ':ids'
  if not state then result[1] = 'gone'
  elseif not MATCH[state] then result[1] = 'over'
  elseif state ~= 'RUNNING' then result[1] = 'early'
  elseif server and string.sub(server, 1, 7) == 'agones/' then result[1] = 'deaf' end
  local room, put = most - redis.call('XLEN', stream), false
  for i = 3, #args, 2 do
    local answer = redis.call('HGET', told, args[i])
    if not answer and result[1] == 'ok' and room > 0 then
      room, put = room - 1, true
      answer = WAITS .. redis.call('XADD', stream, '*', 'id', args[i], 'command', args[i + 1])
      redis.call('HSET', told, args[i], answer)
      redis.call('RPUSH', ids, args[i])
    elseif not answer then
      room = 0
    end
    result[#result + 1] = answer or ''
  end
  if not put then return result end
  for _ = 1, redis.call('LLEN', ids) - INBOX_KNOWN do
    local oldest = redis.call('LINDEX', ids, 0)
    if not inbox_decided(redis.call('HGET', told, oldest)) then break end
    redis.call('LPOP', ids)
    redis.call('HDEL', told, oldest)
  end
  for _, name in ipairs({ stream, told, ids }) do redis.call('EXPIRE', name, INBOX_KEPT_S) end
  return result
end)
