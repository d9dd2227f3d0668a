-- packs_done: write a player's state once for the packs that made it, together with their acknowledgement.
-- KEYS[1] base of the player's shard
-- ARGV    player, token, done before, number of packs executed, commands in them, state after them ('' where it did not
--         change), ms of the last command executed, error ('' or JSON of core.packs.Failure, of the pack after those)
-- Returns {'ok' | 'repeat', epoch, packs that still wait} | {'fenced'}
-- Keeps   the state, `done` and the row change together or not at all, under the newest token alone: no pack is applied
--         twice, none in part. With an error all that waits is skipped, as it was made before the error was known, and
--         the epoch rises, so that nothing made before it is accepted any more.
register('packs_done', function(keys, args)
  local base, player = keys[1], args[1]
  local key, row = base .. ':commands:' .. player, base .. ':packs:' .. player
  local token, done, accepted, ended = unpack(redis.call('HMGET', key, 'token', 'done', 'accepted', 'ended'))
  if token ~= args[2] then return { 'fenced' } end
  done, accepted = tonumber(done) or 0, tonumber(accepted) or 0
  if ended == token then return { 'repeat', tonumber(redis.call('HGET', key, 'epoch') or 0), accepted - done } end
  if done ~= tonumber(args[3]) then return { 'fenced' } end
  local count, now, stats = tonumber(args[4]), clock(), base .. ':packs-stats'
  local after = done + count
  local set = { 'ended', token, 'done', after, 'owner', '', 'until', 0, 'tries', 0, 'trouble', '' }
  local told = is_told(base)
  local function put(name, value) set[#set + 1], set[#set + 2] = name, value end
  for seq = math.max(done + 1, accepted - PACKS_KNOWN + 1), after do put('o' .. seq, 'e') end
  if count > 0 then
    redis.call('LPOP', row, count)
    redis.call('HINCRBY', stats, 'packs_executed', count)
    redis.call('HINCRBY', stats, 'commands_executed', args[5])
    put('ran', args[7])
    if told then
      tell(base, player, cjson.encode({ event = 'packs_executed', at_ms = now, player = player, first = done + 1, last = after,
                                        commands = tonumber(args[5]) }))
    end
    if args[6] ~= '' then
      put('state', args[6])
      redis.call('HINCRBY', key, 'version', 1)
    end
  end
  if args[8] ~= '' then
    local failure = cjson.decode(args[8])
    failure.epoch, failure.at_ms = redis.call('HINCRBY', key, 'epoch', 1), now
    put('o' .. (after + 1), 'f')
    for seq = math.max(after + 2, accepted - PACKS_KNOWN + 1), accepted do put('o' .. seq, 's') end
    redis.call('DEL', row)
    redis.call('HINCRBY', stats, 'packs_failed', 1)
    redis.call('HINCRBY', stats, 'packs_skipped', accepted - after - 1)
    if told then
      tell(base, player, cjson.encode({ event = 'pack_failed', at_ms = now, player = player, seq = after + 1, index = failure.index,
                                        command = failure.command, code = failure.code, epoch = failure.epoch,
                                        skipped = accepted - after - 1 }))
    end
    after = accepted
    put('done', after)
    put('error', cjson.encode(failure))
    put('clock', count > 0 and args[7] or redis.call('HGET', key, 'ran') or 0)
  end
  redis.call('HSET', key, unpack(set))
  redis.call('HINCRBY', key, 'rev', 1)
  if after < accepted then
    redis.call('ZADD', base .. ':packs-due', now, player)
    redis.call('ZADD', base .. ':packs-since', now, player)
  else
    redis.call('ZREM', base .. ':packs-due', player)
    redis.call('ZREM', base .. ':packs-since', player)
    redis.call('HDEL', key, 'asked')
  end
  return { 'ok', tonumber(redis.call('HGET', key, 'epoch') or 0), accepted - after }
end)
