-- analytics_add: add what a page of events comes to, and move the cursors past it.
-- KEYS[1] base of the game, or of the installation
-- ARGV    number of the epoch, seconds that counts are kept, how many cursors, how many counts; for each cursor its name,
--         where it is and where it shall be; for each count the first minute of its ten, the field, how much; for each flag
--         its id, the minute, the key of its event, the document that tells it
-- Returns {'ok', flags that are new} | {'moved', 0} where a cursor is elsewhere: somebody else counted
--         | {'epoch', its number} where events are counted from another source by now
-- Keeps   counts, flags and cursors change together or not at all, so that each event counts once however often it is
--         read; a repeat of the same call changes nothing. A flag is told of once. Flags are bounded by number and minute.
local CURSORS_KEPT_S = 2592000 -- of a game that nothing happens in
local FLAGS_KEPT = 1000        -- of a game
local FLAGS_KEPT_S = 604800
local FLAGS_A_MINUTE = 100     -- of a game; more are counted only: a hostile game writes what it likes

register('analytics_add', function(keys, args)
  local base, epoch, kept_s = keys[1], tonumber(args[1]), tonumber(args[2])
  local cursors, counts = tonumber(args[3]), tonumber(args[4])
  local key, at = base .. ':analytics', 5
  local current = tonumber(redis.call('HGET', key, 'epoch') or 0)
  if current > epoch then return { 'epoch', current } end
  if current < epoch then
    redis.call('DEL', key)
    redis.call('HSET', key, 'epoch', epoch)
  end
  local repeated, moved, places = true, false, {}
  for _ = 1, cursors do
    local stored = redis.call('HGET', key, args[at]) or ''
    if stored ~= args[at + 2] then repeated = false end
    if stored ~= args[at + 1] then moved = true end
    places[#places + 1], places[#places + 2] = args[at], args[at + 2]
    at = at + 3
  end
  if repeated then return { 'ok', 0 } end
  if moved then return { 'moved', 0 } end
  redis.call('HSET', key, unpack(places))
  redis.call('EXPIRE', key, CURSORS_KEPT_S)
  local seen = {}
  local function add(ten, field, amount)
    local of = base .. ':counted:' .. ten
    redis.call('HINCRBYFLOAT', of, field, amount)
    if not seen[of] then redis.call('EXPIRE', of, kept_s) end
    seen[of] = true
  end
  for _ = 1, counts do
    add(args[at], args[at + 1], args[at + 2])
    at = at + 3
  end
  local new = 0
  while args[at] do
    local id, minute, of, doc = args[at], tonumber(args[at + 1]), args[at + 2], args[at + 3]
    at = at + 4
    if redis.call('HEXISTS', base .. ':flags', id) == 0 then
      local ten, nth = string.format('%d', minute - minute % 10), minute % 10
      local told = tonumber(redis.call('HGET', base .. ':counted:' .. ten, nth .. ':flags') or 0)
      add(ten, nth .. ':flags', 1)
      if told < FLAGS_A_MINUTE then
        new = new + 1
        redis.call('HSET', base .. ':flags', id, doc)
        redis.call('ZADD', base .. ':flags:order', minute, id)
        redis.call('XADD', base .. ':log', '*', 'match', of, 'data', doc)
      end
    end
  end
  if new > 0 then
    local over = redis.call('ZRANGE', base .. ':flags:order', 0, -FLAGS_KEPT - 1)
    if #over > 0 then
      redis.call('ZREM', base .. ':flags:order', unpack(over))
      redis.call('HDEL', base .. ':flags', unpack(over))
    end
    redis.call('EXPIRE', base .. ':flags', FLAGS_KEPT_S)
    redis.call('EXPIRE', base .. ':flags:order', FLAGS_KEPT_S)
    log_trim(base, FACTS_KEPT)
  end
  return { 'ok', new }
end)
