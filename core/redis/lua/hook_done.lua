-- hook_done: what came of an attempt to deliver events to a game's webhook.
-- KEYS[1] base of the game
-- ARGV    fencing token, outcome ('ok', 'retry', 'dead'), place in the feed before the first of them ('again': it was the
--         first of those to be made once more), id of the last of them in the feed, how many they are, ms of the next
--         attempt, error, id and JSON of the delivery as one that was given up, ms now, most of these that are kept
-- Returns {'ok', 0} | {'stale', place}: somebody else was there
-- Keeps   an event leaves the waiting ones once, delivered or among those given up. Beyond the bound the oldest of
--         these go, and are counted as lost. Refuses an old token.
local function bury(base, hook, args)
  local dead, order = base .. ':hook:dead', base .. ':hook:order'
  redis.call('HSET', dead, args[8], args[9])
  redis.call('ZADD', order, args[10], args[8])
  for _, id in ipairs(redis.call('ZRANGE', order, 0, -1 - tonumber(args[11]))) do
    redis.call('HDEL', dead, id)
    redis.call('ZREM', order, id)
    redis.call('HINCRBY', hook, 'lost', 1)
  end
end

register('hook_done', function(keys, args)
  local base, hook, outcome, from = keys[1], keys[1] .. ':hook', args[2], args[3]
  if fenced(base, args[1]) then return redis.error_reply('FENCED the lease of this game has a new holder') end
  if from == 'again' then
    local first = redis.call('LINDEX', base .. ':hook:again', 0)
    if not first or cjson.decode(first).id ~= args[8] then return { 'stale', '' } end
    redis.call('LPOP', base .. ':hook:again')
    if outcome == 'ok' then redis.call('HINCRBY', hook, 'delivered', args[5]) else bury(base, hook, args) end
    return { 'ok', 0 }
  end
  local at = redis.call('HGET', hook, 'at')
  if at ~= from then return { 'stale', at or '' } end
  if outcome == 'retry' then
    redis.call('HINCRBY', hook, 'tries', 1)
    redis.call('HSET', hook, 'due_ms', args[6], 'error', args[7])
    return { 'ok', 0 }
  end
  if outcome == 'ok' then redis.call('HINCRBY', hook, 'delivered', args[5]) else bury(base, hook, args) end
  redis.call('HSET', hook, 'at', args[4], 'tries', 0, 'due_ms', 0, 'error', args[7])
  local passed = redis.call('HINCRBY', hook, 'passed', args[5])
  local last = redis.call('XREVRANGE', base .. ':feed', '+', '-', 'COUNT', 1)[1]
  if not last or last[1] == args[4] then
    -- Nothing waits: what was counted in and never came by was trimmed from the feed.
    local fed = tonumber(redis.call('HGET', hook, 'fed'))
    if fed > passed then redis.call('HINCRBY', hook, 'lost', fed - passed) end
    redis.call('HSET', hook, 'passed', fed)
  end
  return { 'ok', 0 }
end)
