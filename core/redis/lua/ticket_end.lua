-- ticket_end: a ticket leaves its queue without a match, or the match that was found for it before that can be played:
--             that match fails then, and its other tickets wait on.
-- KEYS[1] base of the game
-- ARGV    ticket id, event (cancelled | rejected | vanished | timed_out | unfit | drained), now_ms, reason
--         for vanished also: the latest sign of life at which it still counts as vanished, ms
--         for cancelled and rejected also: the player who wants it, '' for none
--         for rejected also: the match that is meant ('' for whichever asks)
-- Returns {'ok', state, ticket id...} the tickets that changed | {'illegal', state} | {'gone', ''}
--         | {'alive', state} where a sign of life came meanwhile
-- Keeps   the match and ticket tables. To cancel while being asked is to reject. Each match that a player turns down is
--         counted for a while, and too many keep him from a new ticket (ticket_create).
local function count_cancel(base, player, match, now)
  if player == '' then return end
  local key = base .. ':cancels:' .. player
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - CANCELS_MS)
  redis.call('ZADD', key, now, match)
  redis.call('PEXPIRE', key, CANCELS_MS)
end

register('ticket_end', function(keys, args)
  local base, id, event, now, reason = keys[1], args[1], args[2], args[3], args[4]
  local state, match = unpack(redis.call('HMGET', ticket_key(base, id), 'state', 'match'))
  if not state then
    redis.call('ZREM', base .. ':queue', id)
    redis.call('ZREM', base .. ':alive', id)
    return { 'gone', '' }
  end
  if event == 'vanished' then
    local seen = redis.call('ZSCORE', base .. ':alive', id)
    if seen and tonumber(seen) > tonumber(args[5]) then return { 'alive', state } end
  end
  if event == 'rejected' and args[6] ~= '' and args[6] ~= match then return { 'illegal', state } end
  local row = TICKET[state] or {}
  if event == 'cancelled' and row.rejected then event, reason = 'rejected', 'rejected' end
  if row[event] and row.released then
    local moved = match_refused(base, match, now, reason, id, event)
    if moved then
      count_cancel(base, args[5] or '', match, now)
      return { 'ok', row[event], unpack(moved) }
    end
  end
  local after = ticket_step(base, id, event, now, reason)
  if not after then return { 'illegal', state } end
  return { 'ok', after, id }
end)
