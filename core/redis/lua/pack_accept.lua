-- pack_accept: put a pack of delayed commands into its player's row, durably, and the player among those with work.
-- KEYS[1] base of the player's shard
-- ARGV    player, seq, epoch, ms of its first command, ms of its last, '1' to be executed at once, digest, most that may
--         wait, number of commands, pack
-- Returns {'ok' | 'repeat', position among those that waited, done, epoch} | {'refused', code, what it tells of}
-- Keeps   a row has no gap and no pack twice, and only packs of the epoch that it is in; who was erased has none; the index names every player
--         with a waiting pack, and one that a worker has, or that is to be tried later, is left where it is.
register('pack_accept', function(keys, args)
  local base, player, seq, epoch = keys[1], args[1], tonumber(args[2]), tonumber(args[3])
  local key = base .. ':commands:' .. player
  local accepted, done, now_in, latest, known, erased = unpack(redis.call('HMGET', key, 'accepted', 'done', 'epoch', 'clock', 'd' .. args[2], 'erased'))
  if erased then return { 'refused', 'erased', '' } end
  accepted, done, now_in = tonumber(accepted) or 0, tonumber(done) or 0, tonumber(now_in) or 0
  if seq <= accepted then
    local digest, position = string.match(known or '', '^(%S+) (%S+)$')
    if digest ~= args[7] then
      if epoch < now_in then return { 'refused', 'reload', redis.call('HGET', key, 'error') or '' } end
      return { 'refused', known and 'other-content' or 'forgotten', tostring(accepted) }
    end
    if args[6] == '1' then pack_hurry(base, player) end
    return { 'repeat', tonumber(position), done, now_in }
  end
  if epoch < now_in then return { 'refused', 'reload', redis.call('HGET', key, 'error') or '' } end
  if epoch > now_in then return { 'refused', 'future-epoch', tostring(now_in) } end
  if seq > accepted + 1 then return { 'refused', 'gap', tostring(accepted + 1) } end
  if tonumber(args[4]) < (tonumber(latest) or 0) then return { 'refused', 'backwards', latest } end
  local waiting = accepted - done
  if waiting >= tonumber(args[8]) then return { 'refused', 'full', '' } end
  redis.call('RPUSH', base .. ':packs:' .. player, args[10])
  redis.call('HSET', key, 'accepted', args[2], 'clock', args[5], 'd' .. args[2], args[7] .. ' ' .. (waiting + 1))
  redis.call('HINCRBY', key, 'rev', 1)
  redis.call('HDEL', key, 'd' .. (seq - PACKS_KNOWN), 'o' .. (seq - PACKS_KNOWN))
  local now = clock()
  if waiting == 0 then redis.call('ZADD', base .. ':packs-since', now, player) end
  redis.call('ZADD', base .. ':packs-due', 'NX', now, player)
  if args[6] == '1' then pack_hurry(base, player) end
  if is_told(base) then
    tell(base, player, cjson.encode({ event = 'pack_accepted', at_ms = now, player = player, seq = seq, commands = tonumber(args[9]) }))
  end
  redis.call('HINCRBY', base .. ':packs-stats', 'packs_accepted', 1)
  redis.call('HINCRBY', base .. ':packs-stats', 'commands_accepted', args[9])
  return { 'ok', waiting + 1, done, now_in }
end)
