-- try_begin: count an attempt to log in before it is looked at; a success takes it out again.
-- KEYS[1] key of whose attempts are counted
-- ARGV    id of the attempt, now_ms, window in ms, most attempts in the window
-- Returns {'ok', attempts} | {'locked', ms until the next one is let in}
-- Keeps   at most so many attempts in any window, however many come at once; a repeat of the same call counts once.
register('try_begin', function(keys, args)
  local key, now, window = keys[1], tonumber(args[2]), tonumber(args[3])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  local count = redis.call('ZCARD', key)
  if redis.call('ZSCORE', key, args[1]) then return { 'ok', count } end
  if count >= tonumber(args[4]) then
    return { 'locked', tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) + window - now }
  end
  redis.call('ZADD', key, args[2], args[1])
  redis.call('PEXPIRE', key, window)
  return { 'ok', count + 1 }
end)
