-- ticket_end: a waiting ticket leaves its queue without a match.
-- KEYS[1] base of the game
-- ARGV    ticket id, event (cancelled | vanished | timed_out | unfit), now_ms, reason
--         for vanished also: the latest sign of life at which it still counts as vanished, ms
-- Returns {'ok', state} | {'illegal', state} | {'gone', ''} | {'alive', state} where a sign of life came meanwhile
-- Keeps   the ticket table.
register('ticket_end', function(keys, args)
  local base, id, event, now, reason = keys[1], args[1], args[2], args[3], args[4]
  local state = redis.call('HGET', ticket_key(base, id), 'state')
  if not state then
    redis.call('ZREM', base .. ':queue', id)
    redis.call('ZREM', base .. ':alive', id)
    return { 'gone', '' }
  end
  if event == 'vanished' then
    local seen = redis.call('ZSCORE', base .. ':alive', id)
    if seen and tonumber(seen) > tonumber(args[5]) then return { 'alive', state } end
  end
  local after = ticket_step(base, id, event, now, reason)
  if not after then return { 'illegal', state } end
  return { 'ok', after }
end)
