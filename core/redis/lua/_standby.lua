-- Servers without a match; not a function itself. After _common.lua, for every function.

-- Servers without a match: one that is ready comes before one that starts, the oldest first.
local STANDBYS_LOOKED = 64  -- of them, for one of the match's version that gave a sign of life
local STANDBY_STALE_MS = 5000 -- a ready one beats each 2 s
local STARTS_LAST = 2 ^ 42  -- added to the ms of those that start

local function standby_key(base, id) return base .. ':standby:' .. id end

-- What happened to such a server, for sinks.
local function server_fact(base, id, event, now, kind, match, reason, trace)
  fact_put(base, id, event, now, { server = id, kind = kind, match = match, reason = reason, trace = trace })
end

-- What the idle time of a server came to. `reason` '' where it was for a match.
local function standby_idled(base, kind, ready, now, used)
  local idle = ready and math.max(0, tonumber(now) - tonumber(ready)) or 0
  redis.call('HINCRBY', base .. ':supply', 'idle_' .. kind .. '_ms', idle)
  if used then redis.call('HINCRBY', base .. ':supply', 'used_' .. kind, 1)
  else redis.call('HINCRBY', base .. ':supply', 'unused_' .. kind, 1) end
end

-- Give a match a server that waits for one, for ever: in the same step the server is no other match's. Returns its id and
-- the state that it was in; '' and '' where there is none.
local function standby_take(base, match, now)
  local key, waiting = match_key(base, match), redis.call('ZRANGE', base .. ':standbys', 0, STANDBYS_LOOKED - 1)
  local document = waiting[1] and cjson.decode(redis.call('HGET', key, 'doc'))
  local version = document and tostring(document.game_version)
  for _, id in ipairs(waiting) do
    local own = standby_key(base, id)
    local state, its, kind, server, beat, ready = unpack(
      redis.call('HMGET', own, 'state', 'version', 'kind', 'server', 'beat_ms', 'ready_ms'))
    local after = state and STANDBY[state] and STANDBY[state].allocate
    local fresh = not ready or tonumber(now) - tonumber(beat or 0) <= STANDBY_STALE_MS
    if not state then redis.call('ZREM', base .. ':standbys', id) end
    if after and its == version and fresh then
      redis.call('HSET', own, 'state', after, 'match', match, 'allocated_ms', now)
      redis.call('HDEL', own, 'doc')  -- the match's says the same from now on
      redis.call('EXPIRE', own, PLAYED_KEPT_S)
      redis.call('ZREM', base .. ':standbys', id)
      redis.call('RPUSH', base .. ':bell:' .. id, match)
      redis.call('EXPIRE', base .. ':bell:' .. id, OVER_KEPT_S)
      redis.call('HSET', key, 'standby', id)
      if server then redis.call('HSET', key, 'server', server, 'attached_ms', now) end
      standby_idled(base, kind, ready, now, true)
      server_fact(base, id, 'server_allocated', now, kind, match, nil, document.trace)
      return id, state
    end
  end
  redis.call('HINCRBY', base .. ':supply', 'cold', 1)
  return '', ''
end

-- A server without a match ends.
local function standby_close(base, id, now, reason, detail)
  local key = standby_key(base, id)
  local state, kind, ready = unpack(redis.call('HMGET', key, 'state', 'kind', 'ready_ms'))
  redis.call('HSET', key, 'state', STANDBY[state].stop, 'reason', reason, 'detail', detail, 'end_ms', now)
  redis.call('EXPIRE', key, OVER_KEPT_S)
  redis.call('ZREM', base .. ':standbys', id)
  standby_idled(base, kind, ready, now, false)
  server_fact(base, id, 'server_ended', now, kind, '', reason)
end

-- A match is to be played: it takes a server that waits for one, or its server is started. Returns as `standby_take`.
local function match_place(base, id, doc, now)
  redis.call('HSET', match_key(base, id), 'state', 'PLACING', 'doc', doc, 'created_ms', now, 'reason', '')
  return standby_take(base, id, now)
end

-- A match was made: it is live, to be looked at by `look_at`, counted and told. `order`: what an outside matchmaker calls it.
local function match_made(base, id, document, now, look_at, order)
  redis.call('ZADD', base .. ':live', look_at, id)
  redis.call('HINCRBY', base .. ':stats', 'matches_created', 1)
  local players = {}
  for i, player in ipairs(document.players) do players[i] = { id = player.id, name = player.name, team = player.team } end
  local told = { game_version = document.game_version, players = players, order = order or '', trace = document.trace }
  fact(base, id, 'new_match_created', now, told)
  outcome(base, document.game_version, 'created')
end
