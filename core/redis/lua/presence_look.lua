-- presence_look: what decides who of a shard is offline (`core.presence.decide`), as of one moment.
-- KEYS[1] base of a shard of presence
-- ARGV    -
-- Returns {ms now, ms a listener last listened ('' never), ms before which nobody is offline, players tracked, ms at
--         which the player heard least lately was heard, and the one heard last ('' where none is tracked)}
-- Keeps   nothing is written.
register('presence_look', function(keys, _)
  local base = keys[1]
  local heard, hold = unpack(redis.call('HMGET', base .. ':watch', 'heard', 'hold'))
  local index = base .. ':heard'
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  return { clock(), heard or '', hold or '0', redis.call('ZCARD', index), first[2] or '', last[2] or '' }
end)
