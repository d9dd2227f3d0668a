-- packs_look: how a player's packs go; and, with 'profile', ask for the state, which comes once nothing waits.
-- KEYS[1] base of the player's shard
-- ARGV    player, 'profile' or '', state of who has none yet (written by the first profile; '' to write none, as none is of
--         who was erased)
-- Returns {accepted, done, epoch, version, running 0 | 1, now ms, ms since the oldest waits or 0, ms since the profile is
--         asked for or 0, rev, last command ms, error or '', trouble, state or '' while packs wait}
-- Keeps   a state is given only where every accepted pack is in it, or was skipped.
register('packs_look', function(keys, args)
  local base, player, now = keys[1], args[1], clock()
  local key = base .. ':commands:' .. player
  local f = redis.call('HMGET', key, 'accepted', 'done', 'epoch', 'version', 'until', 'asked', 'rev', 'clock', 'error', 'trouble', 'erased')
  local accepted, done = tonumber(f[1]) or 0, tonumber(f[2]) or 0
  local waits, asked, state = accepted > done, tonumber(f[6]) or 0, ''
  if args[2] == 'profile' then
    if waits then
      if asked == 0 then
        asked = now
        redis.call('HSET', key, 'asked', now)
      end
      pack_hurry(base, player)
    else
      if args[3] ~= '' and not f[11] then redis.call('HSETNX', key, 'state', args[3]) end
      state = redis.call('HGET', key, 'state') or ''
    end
  end
  local since = waits and redis.call('ZSCORE', base .. ':packs-since', player) or 0
  return { accepted, done, tonumber(f[3]) or 0, tonumber(f[4]) or 0, (tonumber(f[5]) or 0) > now and 1 or 0, now,
           tonumber(since) or 0, waits and asked or 0, tonumber(f[7]) or 0, tonumber(f[8]) or 0, f[9] or '', f[10] or '', state }
end)
