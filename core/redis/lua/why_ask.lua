-- why_ask: somebody asks why a waiting ticket has no match yet.
-- KEYS[1] base of the game
-- ARGV    ticket id, most questions that stand, how long one stands in ms
-- Returns {'told', answer} | {'asked', 0} | {'full', questions} | {'nobody', 0} where no matchmaker works the game
--         | {'past', state} of a ticket that does not wait, '' where it is gone
-- Keeps   so many questions at most, none for longer than that; a repeat of the same call asks once.
register('why_ask', function(keys, args)
  local base, id = keys[1], args[1]
  if not redis.call('ZSCORE', base .. ':queue', id) then
    return { 'past', redis.call('HGET', ticket_key(base, id), 'state') or '' }
  end
  local told = redis.call('GET', base .. ':why:' .. id)
  if told then return { 'told', told } end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local till = tonumber(redis.call('HGET', base .. ':lease', 'until_ms') or 0)
  if till <= now then return { 'nobody', 0 } end
  local asked = base .. ':asked'
  redis.call('ZREMRANGEBYSCORE', asked, '-inf', now - args[3])
  if redis.call('ZSCORE', asked, id) then return { 'asked', 0 } end
  local questions = redis.call('ZCARD', asked)
  if questions >= tonumber(args[2]) then return { 'full', questions } end
  redis.call('ZADD', asked, now, id)
  redis.call('PEXPIRE', asked, args[3])
  return { 'asked', 0 }
end)
