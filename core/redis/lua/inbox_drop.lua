-- inbox_drop: take commands back that no server has taken, because nobody waits for them any longer.
-- KEYS[1] base of the game
-- ARGV    match id, answer that is remembered of what is taken back, message id...
-- Returns what is told of each now: that answer, or what became of it meanwhile; '' of an unknown one
-- Keeps   what a server has taken stays: it may have been executed. A repeat of the same call changes nothing.
register('inbox_drop', function(keys, args)
  local stream, result = inbox_key(keys[1], args[1]), {}
  local told = stream .. ':told'
  for i = 3, #args do
    local answer = redis.call('HGET', told, args[i]) or ''
    if answer ~= '' and answer ~= TAKEN and not inbox_decided(answer) then
      redis.call('XDEL', stream, string.sub(answer, #WAITS + 1))
      answer = args[2]
      redis.call('HSET', told, args[i], answer)
    end
    result[#result + 1] = answer
  end
  return result
end)
