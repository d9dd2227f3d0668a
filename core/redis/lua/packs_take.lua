-- packs_take: take the work of players whose packs wait, each under a lease with a fencing token.
-- KEYS[1] base of a shard
-- ARGV    owner, lease in ms, most players, bytes at which no further player is taken
-- Returns a list of {player, token, done, tries, state or '', pack...}; packs in order
-- Keeps   a player's work is one worker's at a time; each taking raises the token, which fences off the one before. A
--         worker that dies leaves the player due at the end of the lease, his row and state as they were.
register('packs_take', function(keys, args)
  local base, now = keys[1], clock()
  local due = redis.call('ZRANGEBYSCORE', base .. ':packs-due', '-inf', now, 'LIMIT', 0, args[3])
  local found, bytes = {}, 0
  for _, player in ipairs(due) do
    if bytes >= tonumber(args[4]) then break end
    local key = base .. ':commands:' .. player
    local packs = redis.call('LRANGE', base .. ':packs:' .. player, 0, -1)
    local token, done, tries, state = unpack(redis.call('HMGET', key, 'token', 'done', 'tries', 'state'))
    token = math.max((tonumber(token) or 0) + 1, now)
    redis.call('HSET', key, 'token', token, 'owner', args[1], 'until', now + args[2])
    redis.call('ZADD', base .. ':packs-due', now + args[2], player)
    local one = { player, token, tonumber(done) or 0, tonumber(tries) or 0, state or '' }
    bytes = bytes + #one[5]
    for i, pack in ipairs(packs) do
      one[5 + i] = pack
      bytes = bytes + #pack
    end
    found[#found + 1] = one
  end
  return found
end)
